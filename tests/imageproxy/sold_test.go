// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// inTurns sends each request to another replica.
func inTurns(t *testing.T, replicas ...*harness.Server) (host string) {
	t.Helper()
	var next atomic.Uint64
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		replica := replicas[next.Add(1)%uint64(len(replicas))]
		r.SetURL(&url.URL{Scheme: "http", Host: replica.Images})
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(front.Close)
	return strings.TrimPrefix(front.URL, "http://")
}

// TestClientsPullWhatWasSold by tag and by digest, from replicas that get a request in turns and share nothing but the
// key of tokens, with what is attached; and nothing else.
func TestClientsPullWhatWasSold(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	acme.write("  images: [\"" + harness.Repository + ":v1*\"]\n")
	registry := v.registries["private"]
	sold, kept := v.pushed("private", "v1"), v.pushed("private", "v2")
	index := harness.Index(t)
	if err := remote.WriteIndex(registry.Reference(t, "v1.multi"), index, registry.Options(t)...); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	multi := []string{harness.Digest(t, index), manifest.Manifests[0].Digest.String(), manifest.Manifests[1].Digest.String()}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	keys := filepath.Join(t.TempDir(), "keys")
	harness.WriteFile(t, keys, []byte(base64.StdEncoding.EncodeToString(key)+"\n"))
	repository := inTurns(t, v.serve("--session-key-file="+keys), v.serve("--session-key-file="+keys)) + "/" + name("private")
	for _, client := range clients() {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			for image, want := range map[string][]string{
				":v1": {sold}, "@" + sold: {sold}, ":v1.multi": multi, "@" + multi[0]: multi, "@" + multi[1]: multi[1:2],
			} {
				if got, err := client.pull(t, repository+image, acme.id); err != nil || !slices.Contains(want, got) {
					t.Errorf("%s: pulled %q, %v; want one of %s", image, got, err, want)
				}
			}
			for _, image := range []string{":v2", "@" + kept} {
				if got, err := client.pull(t, repository+image, acme.id); err == nil {
					t.Errorf("%s: pulled %s", image, got)
				} else if strings.Contains(err.Error(), registry.Host) {
					t.Errorf("%s: it was told where the registry is: %v", image, err)
				}
			}
		})
	}
}

// TestSignaturesOfWhatWasSold are open with it, and those of other tags are not; also right after a start.
func TestSignaturesOfWhatWasSold(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	acme.write("  images: [\"" + harness.Repository + ":v1*\"]\n")
	for alias, registry := range v.registries {
		write := func(reference string, image v1.Image) {
			if err := remote.Write(registry.Reference(t, reference), image, registry.Options(t)...); err != nil {
				t.Fatal(err)
			}
		}
		for tag, status := range map[string]int{"v1.0": http.StatusOK, "v2.0": http.StatusForbidden} {
			image := harness.Image(t)
			write(tag, image)
			subject, err := partial.Descriptor(image)
			if err != nil {
				t.Fatal(err)
			}
			refers, signature := mutate.Subject(harness.Image(t), *subject).(v1.Image), harness.Image(t)
			write(harness.Digest(t, refers), refers)
			digest := harness.Digest(t, image)
			write(strings.Replace(digest, ":", "-", 1)+".sig", signature)
			server := v.serve()
			for _, path := range slices.Concat(
				[]string{"/manifests/" + strings.Replace(digest, ":", "-", 1) + ".sig", "/manifests/" + harness.Digest(t, refers)},
				blobsOf(t, signature), blobsOf(t, image)) {
				if got := get(t, server, alias, path, acme.auth()).Status; got != status {
					t.Errorf("%s, %s: %s is answered %d, want %d", alias, tag, path, got, status)
				}
			}
		}
	}
}

// blobsOf are the paths of an image's blobs.
func blobsOf(t *testing.T, image v1.Image) []string {
	t.Helper()
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"/blobs/" + manifest.Config.Digest.String()}
	for _, layer := range manifest.Layers {
		paths = append(paths, "/blobs/"+layer.Digest.String())
	}
	return paths
}

// TestAnEditOfImagesIsInForceInASecond: the directory's file changes, and the next request is decided by it.
func TestAnEditOfImagesIsInForceInASecond(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	v.pushed("private", "v1")
	server := v.serve()
	for _, step := range []struct {
		images string
		status int
	}{{"[" + harness.Repository + "]", 200}, {"[other]", 403}, {"[\"" + harness.Repository + ":v1\"]", 200}, {"[\"" + harness.Repository + ":v2\"]", 403}, {"[]", 200}} {
		acme.write("  images: " + step.images + "\n")
		untilStatus(t, server, "/manifests/v1", acme.auth(), step.status)
	}
	// A pattern that is wrong changes nothing.
	acme.write("  images: [\"a:b:c\"]\n")
	harness.Eventually(t, "a line about it", func(context.Context) error {
		if log := server.Stderr.String(); !strings.Contains(log, "spec.images[0]: has no tag behind the colon") {
			return fmt.Errorf("it is not in %s", log)
		}
		return nil
	})
	untilStatus(t, server, "/manifests/v1", acme.auth(), 200)
}
