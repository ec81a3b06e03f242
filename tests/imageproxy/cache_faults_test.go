// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// behind starts toxiproxy in front of a registry, with one of its faults for what the registry answers.
func behind(t *testing.T, registry, toxic string) *harness.Registry {
	t.Helper()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "registry", "127.0.0.1:0", registry)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Fatal(err)
	}
	return &harness.Registry{Host: proxy.Listen}
}

// pullAll has clients pull a blob at the same time, and expects each to get it whole.
func (l *license) pullAll(t *testing.T, server *harness.Server, clients int, blobs ...harness.Blob) {
	t.Helper()
	var running sync.WaitGroup
	for _, blob := range blobs {
		for range clients {
			running.Go(func() {
				answer, err := harness.Try(t.Context(), http.DefaultClient, harness.Request{
					Method: http.MethodGet, URL: "http://" + server.Images + "/v2/" + name("slow") + "/blobs/" + blob.Digest, Header: l.auth(),
				})
				if err != nil || answer.Status != http.StatusOK || !bytes.Equal(answer.Body, blob.Content) {
					t.Errorf("of %d bytes: %d, %d bytes, %v", len(blob.Content), answer.Status, len(answer.Body), err)
				}
			})
		}
	}
	running.Wait()
}

// TestOnABadLine: whatever toxiproxy does to the line to the registry, all who wait for a blob get it whole, and
// the registry is asked for its beginning once.
func TestOnABadLine(t *testing.T) {
	t.Parallel()
	for fault, toxic := range map[string]string{
		"late":              `{"type": "latency", "attributes": {"latency": 150, "jitter": 100}}`,
		"in crumbs":         `{"type": "slicer", "attributes": {"average_size": 700, "size_variation": 600, "delay": 20}}`,
		"narrow":            `{"type": "bandwidth", "attributes": {"rate": 2048}}`,
		"cut after 300 KiB": `{"type": "limit_data", "attributes": {"bytes": 307200}}`,
		"cut after 64 KiB":  `{"type": "limit_data", "attributes": {"bytes": 65536}}`,
		"closed slowly":     `{"type": "slow_close", "attributes": {"delay": 500}}`,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			blob := harness.NewBlob(1 << 20)
			registry := newSlow(t, blob)
			close(registry.rest)
			v := newVendor(t)
			v.opens("slow", behind(t, registry.Host, toxic))
			acme, dir := v.license("acme"), t.TempDir()
			server := v.serve(cacheIn(dir, "1GiB"))
			acme.pullAll(t, server, 12, blob)
			awaitKept(t, dir, blob.Digest)
			whole := 0
			for _, seen := range registry.Requests() {
				if seen.Method == http.MethodGet && strings.Contains(seen.Path, "/blobs/") && seen.Header.Get("Range") == "" {
					whole++
				}
			}
			if whole != 1 {
				t.Errorf("the registry was asked for the blob's beginning %d times", whole)
			}
		})
	}
}

// TestABucketThatIsSilent takes connections, and says nothing. Customers wait for it once, and not for long.
func TestABucketThatIsSilent(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	blobs := []harness.Blob{harness.NewBlob(100), harness.NewBlob(3 << 20)}
	registry := newSlow(t, blobs...)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme := v.license("acme")
	for _, kind := range storages() {
		t.Run(kind.name, func(t *testing.T) {
			server := v.onBucket(kind.flag(listener.Addr().String()), kind.environment...)
			acme.pullAll(t, server, 4, blobs...)
			server.AwaitLog(t, "the cache's storage failed", 1)
			acme.pullAll(t, server, 4, blobs...)
		})
	}
}

// TestABlobThatIsEvictedWhileItIsSent arrives whole.
func TestABlobThatIsEvictedWhileItIsSent(t *testing.T) {
	t.Parallel()
	first, second := harness.NewBlob(48<<20), harness.NewBlob(48<<20) // more than the connections on the way hold
	registry := newSlow(t, first, second)
	close(registry.rest)
	v := newVendor(t)
	v.opens("slow", &harness.Registry{Host: registry.Host})
	acme, dir := v.license("acme"), t.TempDir()
	server := v.serve(cacheIn(dir, "64MiB"))
	acme.pullAll(t, server, 1, first)
	awaitKept(t, dir, first.Digest)
	download := begin(t, server, first.Digest, acme.auth(), 1<<20)
	acme.pullAll(t, server, 1, second)
	awaitKept(t, dir, second.Digest)
	harness.Eventually(t, "the first one is evicted", func(context.Context) error {
		for _, file := range filesBelow(t, dir) {
			if file == keptIn(dir, first.Digest) {
				return fmt.Errorf("%s is there", file)
			}
		}
		return nil
	})
	rest, err := io.ReadAll(download.Body)
	if err != nil || !bytes.Equal(rest, first.Content[1<<20:]) {
		t.Errorf("%d bytes more, %v", len(rest), err)
	}
	awaitClosed(t, server, dir)
}
