// SPDX-License-Identifier: Apache-2.0

package sessions_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/scheme/reg"
	"github.com/regclient/regclient/types/descriptor"
	"github.com/regclient/regclient/types/ref"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// newRelay starts a line that loses the answer to one PATCH, which has arrived and was acted on: the first is
// 1. It returns where it listens.
func newRelay(t *testing.T, to string, lose int64) string {
	t.Helper()
	var patches atomic.Int64
	line := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
	line.ModifyResponse = func(resp *http.Response) error {
		if resp.Request.Method == http.MethodPatch && patches.Add(1) == lose {
			return errors.New("this answer is lost")
		}
		return nil
	}
	line.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(line)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestQuirkU11LostAnswerOfAChunk.
// quirk U11: distribution has taken a chunk, and the client does not learn it. The client sends the chunk
// again, to the old location and to the new one. What it is told then, and whether it can go on, is the same
// without the proxy and with it, wherever the answer was lost; the chunk is there once.
func TestQuirkU11LostAnswerOfAChunk(t *testing.T) {
	t.Parallel()
	blob := harness.NewBlob(60 << 10)
	const part = 20 << 10
	for name, ways := range map[string]func(t *testing.T, upstream *harness.Registry) (host, path string){
		"straight": func(t *testing.T, upstream *harness.Registry) (string, string) {
			return newRelay(t, upstream.Host, 1), harness.Repository
		},
		"before the proxy": func(t *testing.T, upstream *harness.Registry) (string, string) {
			return newRelay(t, harness.Start(t, harness.Options{Upstream: upstream}).Host, 1), "source"
		},
		"behind the proxy": func(t *testing.T, upstream *harness.Registry) (string, string) {
			line := &harness.Registry{Host: newRelay(t, upstream.Host, 1)}
			return harness.Start(t, harness.Options{Upstream: line}).Host, "source"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := harness.Distribution{Program: harness.Tool(t, "registry")}.Start(t)
			host, path := ways(t, upstream)
			begin := "http://" + host + "/v2/" + path + "/blobs/uploads/"
			send := func(location string, from int) (harness.Answer, error) {
				return harness.Try(t.Context(), http.DefaultClient, harness.Request{
					Method: http.MethodPatch, URL: location, Body: bytes.NewReader(blob.Content[from : from+part]),
					Header: http.Header{
						"Content-Type":  {"application/octet-stream"},
						"Content-Range": {fmt.Sprintf("%d-%d", from, from+part-1)},
					},
				})
			}
			old := harness.Call(t, harness.Request{Method: http.MethodPost, URL: begin}).Want(t, http.StatusAccepted).Location(t, begin)
			if answer, err := send(old, 0); err == nil && answer.Status < 500 {
				t.Fatalf("the first chunk's answer was not lost: %d", answer.Status)
			}
			next := old
			for _, location := range []string{"old", "new"} {
				again, err := send(next, 0)
				if err != nil {
					t.Fatal(err)
				}
				again.Want(t, http.StatusRequestedRangeNotSatisfiable)
				reach := fmt.Sprintf("0-%d", part-1)
				if got := again.Header.Get("Range"); got != reach && name != "straight" { // distribution itself sends none
					t.Errorf("the 416 to the %s location has Range %q, want %q", location, got, reach)
				}
				status := harness.Call(t, harness.Request{Method: http.MethodGet, URL: next}).Want(t, http.StatusNoContent)
				if got := status.Header.Get("Range"); got != reach {
					t.Errorf("the status at the %s location has Range %q, want %q", location, got, reach)
				}
				next = status.Location(t, next)
			}
			for from := part; from < len(blob.Content); from += part {
				answer, err := send(next, from)
				if err != nil {
					t.Fatal(err)
				}
				next = answer.Want(t, http.StatusAccepted).Location(t, next)
			}
			harness.Call(t, harness.Request{Method: http.MethodPut, URL: harness.WithDigest(t, next, blob.Digest)}).
				Want(t, http.StatusCreated)
			upstream.AssertBlob(t, blob)
		})
	}
}

// TestQuirkU11RegclientRepeats: regclient sends the chunk again by itself. Whether it then goes on, or begins
// the blob anew when it is called again, is the same without the proxy and with it, whichever chunk's answer
// is lost.
func TestQuirkU11RegclientRepeats(t *testing.T) {
	t.Parallel()
	const part = 20 << 10
	for lose := range int64(4) { // 0: none
		t.Run(fmt.Sprintf("chunk %d", lose), func(t *testing.T) {
			t.Parallel()
			upstream := harness.Distribution{Program: harness.Tool(t, "registry")}.Start(t)
			server := harness.Start(t, harness.Options{Upstream: upstream})
			outcome := func(to, repository string) (outcomes [2]string) {
				blob := harness.NewBlob(50 << 10)
				line := newRelay(t, to, lose)
				for i := range outcomes {
					client := regclient.New(
						regclient.WithConfigHost(config.Host{Name: line, Hostname: line, TLS: config.TLSDisabled}),
						regclient.WithRegOpts(reg.WithBlobSize(part, part)))
					repo, err := ref.New(line + "/" + repository)
					if err != nil {
						t.Fatal(err)
					}
					about := descriptor.Descriptor{Digest: digest.Digest(blob.Digest), Size: int64(len(blob.Content))}
					outcomes[i] = "it arrived"
					if _, err = client.BlobPut(t.Context(), repo, about, bytes.NewReader(blob.Content)); err != nil {
						outcomes[i] = "it failed"
						t.Logf("through %s: %v", to, err)
					}
				}
				upstream.AssertBlob(t, blob)
				return outcomes
			}
			straight := outcome(upstream.Host, harness.Repository)
			if got := outcome(server.Host, "source"); got != straight || got[1] != "it arrived" {
				t.Errorf("through the proxy: %q, straight: %q", got, straight)
			}
		})
	}
}
