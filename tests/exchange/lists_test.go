// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// next reads the Link of a page (RFC 8288) and makes it absolute.
func next(t *testing.T, r recorder, answer harness.Answer, asked string) string {
	t.Helper()
	link := answer.Header.Get("Link")
	if link == "" {
		return ""
	}
	target, rest, found := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !found || !strings.Contains(rest, "next") {
		t.Fatalf("Link %q", link)
	}
	return r.follow(harness.Answer{Header: http.Header{"Location": {target}}}, asked)
}

// TestTagsList: pages lead to each other directly and behind the API server's prefix, which does not touch
// Link (quirks K1, D4), and the name is the client's.
func TestTagsList(t *testing.T) {
	t.Parallel()
	upstream, server := start(t, nil)
	image := harness.Image(t)
	var want []string
	for i := range 7 {
		tag := fmt.Sprintf("tag-%d", i)
		want = append(want, tag)
		if err := remote.Write(upstream.Reference(t, tag), image, upstream.Options(t)...); err != nil {
			t.Fatal(err)
		}
	}
	api := harness.NewAPIServer(t, server.Host)
	for name, base := range map[string]string{"direct": server.URL(""), "service proxy": api.URL + harness.ProxyPath} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recorder{t: t, base: base, want: upstream.Host + "/" + harness.Repository}
			var got []string
			for page := base + "/v2/source/tags/list?n=3"; page != ""; {
				answer := r.send(http.MethodGet, page, nil, nil).Want(t, http.StatusOK)
				var list struct {
					Name string
					Tags []string
				}
				if err := json.Unmarshal(answer.Body, &list); err != nil {
					t.Fatal(err)
				}
				if list.Name != "source" {
					t.Errorf("the list is of %q", list.Name)
				}
				got = append(got, list.Tags...)
				if len(got) > len(want) {
					break
				}
				page = next(t, r, answer, page)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("tags %q, want %q", got, want)
			}
		})
	}
}

// TestReferrers: a registry that knows them serves them, with the client's Link; one that does not answers
// 404, and that stays one (quirk D6).
func TestReferrers(t *testing.T) {
	t.Parallel()
	const path = "/v2/source/referrers/" + someDigest
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
	double := harness.NewDouble(t, map[string]http.HandlerFunc{
		"GET /v2/{$}": harness.Basic(harness.Pong),
		"GET /v2/" + harness.Repository + "/referrers/": harness.Basic(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			w.Header().Set("OCI-Filters-Applied", "artifactType")
			w.Header().Set("Link", "</v2/"+harness.Repository+"/referrers/"+someDigest+`?last=x>; rel="next"`)
			_, _ = w.Write([]byte(index))
		}),
	})
	server := harness.Start(t, harness.Options{Upstream: double.Registry()})
	r := recorder{t: t, base: server.URL(""), want: double.Host + "/" + harness.Repository}
	answer := r.send(http.MethodGet, path+"?artifactType=application%2Fx", nil, nil).Want(t, http.StatusOK)
	if string(answer.Body) != index || answer.Header.Get("OCI-Filters-Applied") != "artifactType" {
		t.Errorf("the referrers came back changed: %v %s", answer.Header, answer.Body)
	}
	if got := next(t, r, answer, server.URL(path)); !strings.Contains(got, path) || strings.Contains(got, harness.Repository) {
		t.Errorf("the next page is at %q", got)
	}

	_, without := start(t, nil)
	harness.Call(t, harness.Request{Method: http.MethodGet, URL: without.URL(path)}).Want(t, http.StatusNotFound).Code(t)
}
