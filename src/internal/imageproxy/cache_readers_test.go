// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestReadersAnywhere: whoever reads whichever part, while a blob arrives in bursts from a registry that breaks off,
// or when it is kept, reads what the blob has there; some leave early.
func TestReadersAnywhere(t *testing.T) {
	const size = 1 << 20
	content := someBytes(size)
	for seed := range uint64(5) {
		for name, url := range storages(t) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				w := newWorld(t, config{cache: url})
				acme := w.licensed("app")
				digest := w.quay.PutBlob("team/api", content)
				w.quay.When("GET", digest).Do(func(out http.ResponseWriter, r *http.Request, _ http.Handler) {
					from := 0
					if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
						out.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, size-1, size))
						out.Header().Set("Content-Length", strconv.Itoa(size-from))
						out.WriteHeader(http.StatusPartialContent)
					} else {
						out.Header().Set("Content-Length", strconv.Itoa(size))
					}
					random := rand.New(rand.NewPCG(seed, uint64(from)))
					until := min(size, from+size/2+random.IntN(size/2))
					for at := from; at < until; {
						n := min(1+random.IntN(100_000), until-at)
						_, _ = out.Write(content[at : at+n])
						_ = http.NewResponseController(out).Flush()
						at += n
					}
					if until < size {
						panic(http.ErrAbortHandler)
					}
				})
				var readers sync.WaitGroup
				for reader := range uint64(12) {
					readers.Go(func() { readParts(w, acme, digest, content, rand.New(rand.NewPCG(seed, reader))) })
				}
				readers.Wait()
				w.network.Count(1, registrytest.Sent("GET", "/v2/team/api/blobs/"+digest), func(r registrytest.Request) bool {
					return r.Header.Get("Range") == ""
				})
			})
		}
	}
}

// readParts reads some parts of a blob.
func readParts(w *world, c *customer, digest string, content []byte, random *rand.Rand) {
	for range 8 {
		first := random.IntN(len(content))
		last := first + random.IntN(len(content)-first)
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.URL+image+"/blobs/"+digest, nil)
		if err != nil {
			w.t.Error(err)
			return
		}
		c.basic()(req)
		proxytest.Header("Range", fmt.Sprintf("bytes=%d-%d", first, last))(req)
		resp, err := w.Client.Do(req)
		if err != nil {
			w.t.Error(err)
			return
		}
		if random.IntN(4) == 0 { // leaves early
			_ = resp.Body.Close()
			continue
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, content[first:last+1]) {
			w.t.Errorf("bytes %d to %d: %d, %d bytes, %v", first, last, resp.StatusCode, len(got), err)
		}
	}
}
