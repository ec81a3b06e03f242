// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	// tagCount is a list of several pages of pageSize.
	tagCount, pageSize = 11, 4
	// wholeList is a page that holds any list of a test.
	wholeList = 1000
)

// listers are the clients that list tags; those that can ask for pages, do.
func listers(pageSize int) map[string]func(t *testing.T, host string) []string {
	return map[string]func(t *testing.T, host string) []string{
		"go-containerregistry": func(t *testing.T, host string) []string {
			t.Helper()
			repository := harness.Reference(t, host, "source", "any").Context()
			tags, err := remote.List(repository, append(ggcrOptions(t), remote.WithPageSize(pageSize))...)
			if err != nil {
				t.Fatal(err)
			}
			return tags
		},
		"crane": func(t *testing.T, host string) []string {
			t.Helper()
			return strings.Fields(run(t, harness.Tool(t, "crane"), "ls", host+"/source"))
		},
		"oras": func(t *testing.T, host string) []string {
			t.Helper()
			repository := orasRepository(t, host)
			repository.TagListPageSize = pageSize
			var tags []string
			if err := repository.Tags(t.Context(), "", func(page []string) error {
				tags = append(tags, page...)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return tags
		},
		"regclient": func(t *testing.T, host string) []string {
			t.Helper()
			list, err := newRegclient(host).TagList(t.Context(), regclientRef(t, host+"/source"))
			if err != nil {
				t.Fatal(err)
			}
			return list.Tags
		},
	}
}

// TestTags: every client sees every tag, over several pages, on every kind of registry (quirk D4).
func TestTags(t *testing.T) {
	t.Parallel()
	for _, kind := range harness.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			upstream := kind.Start(t)
			server := harness.Start(t, harness.Options{Upstream: upstream})
			image := harness.Image(t)
			var want []string
			for i := range tagCount {
				tag := fmt.Sprintf("workload-%02d", i)
				want = append(want, tag)
				if err := remote.Write(upstream.Reference(t, tag), image, upstream.Options(t)...); err != nil {
					t.Fatal(err)
				}
			}
			size := pageSize
			if kind.OnePage {
				size = wholeList
			}
			for name, list := range listers(size) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					got := list(t, server.Host)
					if slices.Sort(got); !slices.Equal(got, want) {
						t.Errorf("tags %q, want %q", got, want)
					}
				})
			}
		})
	}
}
