// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "registry")) }

const uploads = "/v2/" + harness.Repository + "/blobs/uploads/"

// TestUpstreamIsKilledAndRestarted between uploads and in the middle of one. While it is away, clients get
// OCI JSON, the server stays ready, and /health says what is wrong.
func TestUpstreamIsKilledAndRestarted(t *testing.T) {
	t.Parallel()
	registry := harness.Distribution{
		Program: harness.Tool(t, "registry"), Basic: true, Dir: t.TempDir(), Address: harness.FreeAddress(t),
	}
	upstream := registry.Start(t)
	server := harness.Start(t, harness.Options{Upstream: upstream})
	server.Push(t, harness.NewBlob(10<<10))

	held := harness.Hold(t, http.MethodPatch, server.StartUpload(t))
	held.Send(t, harness.NewBlob(64<<10).Content)
	server.AwaitMetric(t, 1, "lsp_uploads_in_flight", `door="source"`)
	upstream.Process.Kill(t)
	if answer, err := held.End(); err != nil {
		t.Errorf("the interrupted PATCH has no answer: %v", err)
	} else if answer.Status < 500 {
		t.Errorf("the interrupted PATCH gets %d", answer.Status)
	} else {
		answer.Code(t)
	}
	server.AwaitMetric(t, 0, "lsp_uploads_in_flight", `door="source"`)

	harness.Call(t, harness.Request{Method: http.MethodPost, URL: server.URL("/v2/source/blobs/uploads/")}).
		WantError(t, http.StatusBadGateway, "UNAVAILABLE")
	harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.Admin + "/readyz"}).Want(t, http.StatusOK)
	assertHealth(t, server, '5')

	upstream.Process = registry.Start(t).Process
	assertHealth(t, server, '2')
	blob := harness.NewBlob(100 << 10)
	server.Push(t, blob)
	upstream.AssertBlob(t, blob)
}

// assertHealth waits until /health says a status of this class: it may answer from memory for some seconds.
func assertHealth(t *testing.T, server *harness.Server, class byte) {
	t.Helper()
	harness.Eventually(t, "/health", func(context.Context) error {
		answer := harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/health")}).Want(t, http.StatusOK)
		var body struct{ StatusCode string }
		if err := json.Unmarshal(answer.Body, &body); err != nil {
			return err
		}
		if len(body.StatusCode) != 3 || body.StatusCode[0] != class {
			return errors.New("says " + string(answer.Body))
		}
		return nil
	})
}

// TestClientVanishes: the upstream's connection ends at once, and nothing of the upload stays behind.
func TestClientVanishes(t *testing.T) {
	t.Parallel()
	const clients = 8
	begun, ended := make(chan struct{}, clients), make(chan error, clients)
	double := harness.NewDouble(t, map[string]http.HandlerFunc{
		"GET /v2/{$}": harness.Basic(harness.Pong),
		"POST " + uploads + "{$}": harness.Basic(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", uploads+"an-upload")
			w.WriteHeader(http.StatusAccepted)
		}),
		"PATCH " + uploads + "an-upload": harness.Basic(func(_ http.ResponseWriter, r *http.Request) {
			buffer := make([]byte, 1)
			_, err := r.Body.Read(buffer)
			begun <- struct{}{}
			for buffer = make([]byte, 32<<10); err == nil; {
				_, err = r.Body.Read(buffer)
			}
			ended <- err
		}),
	})
	server := harness.Start(t, harness.Options{Upstream: double.Registry()})
	location := server.StartUpload(t)
	before := server.Metric(t, "go_goroutines")
	if before == 0 {
		t.Fatal("no metric go_goroutines")
	}
	var held []*harness.Held
	for range clients {
		one := harness.Hold(t, http.MethodPatch, location)
		one.Send(t, []byte("the beginning of a body"))
		held = append(held, one)
	}
	for range clients {
		wait(t, "the upstream to see a body", begun)
	}
	for _, one := range held {
		one.Vanish()
	}
	for range clients {
		if err := wait(t, "the upstream's connection to end", ended); err.Error() == "EOF" {
			t.Error("the upstream saw the end of the body, as if the upload were complete")
		}
	}
	server.AwaitMetric(t, 0, "lsp_uploads_in_flight", `door="source"`)
	harness.Eventually(t, "goroutines", func(context.Context) error {
		if now := server.Metric(t, "go_goroutines"); now > before+clients/2 {
			return errors.New("some are left")
		}
		return nil
	})
}

// wait receives once, within [harness.Patience].
func wait[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	select {
	case value := <-from:
		return value
	case <-ctx.Done():
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}
