// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache/storage"
)

// zeros are the bytes of a blob of any size.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

// bucket is a server that speaks as much of S3 and of Azure as an upload needs. It notes the most memory that was
// in use, in KiB, also what is not Go's.
func bucket(t *testing.T) (address string, most *atomic.Int64) {
	t.Helper()
	most = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		now := resident(t)
		for old := most.Load(); old < now && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		switch {
		case r.Method == http.MethodPut && r.Header.Get("X-Ms-Version") != "":
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
			_, _ = fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPost:
			_, _ = fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>`)
		default:
			w.Header().Set("Etag", `"1"`)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AZURE_STORAGE_ACCOUNT", "account")
	t.Setenv("AZURE_STORAGE_KEY", "a2V5")
	return server.URL, most
}

// resident is how much memory without a file behind it this process has, in KiB.
func resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Error(err)
	}
	_, found, _ := strings.Cut(string(status), "RssAnon:")
	number, _, _ := strings.Cut(strings.TrimSpace(found), " ")
	kib, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		t.Error(err)
	}
	return kib
}

// TestKeepingTakesLittleMemory: what many downloads bring at once goes to a bucket through little memory.
func TestKeepingTakesLittleMemory(t *testing.T) {
	for _, scheme := range []string{"s3://images?use_path_style=true&endpoint=", "gs://images?endpoint=", "azblob://images?endpoint="} {
		t.Run(scheme, func(t *testing.T) {
			server, most := bucket(t)
			settings, err := storage.ParseURL(scheme + server)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := storage.Open(t.Context(), settings, silent{}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			before := resident(t)
			const blobs, size = 12, 65 << 20
			var all sync.WaitGroup
			for i := range blobs {
				all.Go(func() {
					if err := opened.Put(t.Context(), fmt.Sprintf("content/sha256/00/%d", i), io.NewSectionReader(zeros{}, 0, size)); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if used := most.Load() - before; used > 64<<10 {
				t.Errorf("%d KiB for %d blobs at once", used, blobs)
			} else {
				t.Logf("%d KiB for %d blobs at once", used, blobs)
			}
		})
	}
}
