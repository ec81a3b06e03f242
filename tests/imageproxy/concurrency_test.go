// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestOneCustomersNodesDoNotSlowAnother: the nodes of one customer read their layers slowly, and hold all places
// of their license and all of its line. Another customer pulls as ever. An edit of the license lets those who
// wait go on.
func TestOneCustomersNodesDoNotSlowAnother(t *testing.T) {
	t.Parallel()
	const places, line, more = 3, 3, 14
	v := newVendor(t)
	acme, other := v.license("acme"), v.license("other")
	other.write("  limits: {concurrentPulls: 4}\n")
	v.pushed("public", "v1")
	registry := v.registries["public"]
	push := func(layer v1.Layer) (path string) {
		t.Helper()
		if err := remote.WriteLayer(registry.Reference(t, "v1").Context(), layer, registry.Options(t)...); err != nil {
			t.Fatal(err)
		}
		return "/blobs/" + harness.Digest(t, layer)
	}
	// Larger than what sockets hold, so that who does not read holds his place.
	content := make([]byte, 24<<20)
	_, _ = rand.Read(content)
	blob := push(static.NewLayer(content, types.OCILayer))
	// Small, because those who wait in the line do so for half a minute only.
	small := push(static.NewLayer([]byte("small"), types.OCILayer))
	server := v.serve(fmt.Sprintf("--image-proxy-concurrent-pulls=%d", places))

	ctx, end := context.WithCancel(t.Context())
	var mu sync.Mutex
	statuses := map[int]int{}
	var nodes sync.WaitGroup
	defer nodes.Wait()
	defer end()
	for range places + line + more {
		nodes.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.Images+"/v2/"+name("public")+blob, nil)
			if err != nil {
				t.Error(err)
				return
			}
			request.Header = acme.auth()
			response, err := transport.RoundTrip(request)
			if err != nil {
				return // the test has ended
			}
			defer response.Body.Close()
			mu.Lock()
			statuses[response.StatusCode]++
			mu.Unlock()
			<-ctx.Done() // the body is not read
		})
	}
	answered := func(status, want int) {
		t.Helper()
		harness.Eventually(t, fmt.Sprintf("%d answers of %d", want, status), func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if statuses[status] != want {
				return fmt.Errorf("answered %v", statuses)
			}
			return nil
		})
	}
	answered(http.StatusOK, places)
	answered(http.StatusTooManyRequests, more)

	for range 3 {
		get(t, server, "public", "/manifests/v1", other.auth()).Want(t, http.StatusOK)
		get(t, server, "public", small, other.auth()).Want(t, http.StatusOK)
	}
	refused := get(t, server, "public", small, acme.auth()).WantError(t, http.StatusTooManyRequests, "TOOMANYREQUESTS")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("the refusal does not say when to come again")
	}
	get(t, server, "public", "/manifests/v1", acme.auth()).Want(t, http.StatusOK)
	server.AwaitMetric(t, more+1, "lsp_image_denials_total", `reason="too_many_pulls"`, `customer="acme"`)
	answered(http.StatusOK, places)

	acme.write(fmt.Sprintf("  limits: {concurrentPulls: %d}\n", places+line+1))
	answered(http.StatusOK, places+line)
	get(t, server, "public", blob, acme.auth()).Want(t, http.StatusOK)
}
