// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start serves a group until the returned function is called, which returns what Serve returned.
func start(t *testing.T, g *Group, timeout time.Duration) (stop context.CancelFunc, done chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done = make(chan error, 1)
	go func() { done <- g.Serve(ctx, timeout) }()
	return cancel, done
}

func (g *Group) url(i int) string { return "http://" + g.listeners[i].Addr().String() }

func listen(t *testing.T, handlers ...http.Handler) *Group {
	t.Helper()
	var all []Listener
	for _, handler := range handlers {
		all = append(all, Listener{Name: "test", Address: "127.0.0.1:0", Handler: handler})
	}
	g, err := Listen(t.Context(), quiet(), all...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// upload is a handler that says when it has begun and reads its body to the end.
func upload(begun chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		begun <- struct{}{}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
}

// put begins to send a body, and returns the result of the request.
func put(t *testing.T, url string, body io.Reader) chan int {
	t.Helper()
	status := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPut, url, body)
		if err != nil {
			status <- 0
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	return status
}

// TestUploadsFinish after the end was asked for, while all sides but the admin's take nothing new, and that
// one says why.
func TestUploadsFinish(t *testing.T) {
	begun := make(chan struct{})
	var g *Group
	admin := Admin(func() bool { return !g.Draining() }, http.NotFoundHandler())
	g = listen(t, admin, upload(begun), upload(begun))
	stop, done := start(t, g, time.Minute)
	if status := get(t, g.url(0)+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d before the end", status)
	}
	reader, writer := io.Pipe()
	first := put(t, g.url(1), reader)
	_, _ = writer.Write([]byte("begun"))
	<-begun
	other, otherWriter := io.Pipe()
	second := put(t, g.url(2), other)
	_, _ = otherWriter.Write([]byte("begun"))
	<-begun
	stop()
	for _, i := range []int{1, 2} {
		waitUntilClosed(t, g.listeners[i].Addr().String())
	}
	if status := get(t, g.url(0)+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d while stopping", status)
	}
	if status := get(t, g.url(0)+"/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d while stopping", status)
	}
	_ = otherWriter.Close()
	_ = writer.Close()
	if got := []int{<-first, <-second}; got[0] != http.StatusOK || got[1] != http.StatusOK {
		t.Errorf("the uploads under way were answered %v", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// waitUntilClosed returns once nobody listens; the test's own deadline ends it otherwise.
func waitUntilClosed(t *testing.T, address string) {
	t.Helper()
	for t.Context().Err() == nil {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
}

// TestTheTimeToStopIsLimited: what is still under way then is cut, and the error says so.
func TestTheTimeToStopIsLimited(t *testing.T) {
	begun := make(chan struct{})
	g := listen(t, upload(begun))
	stop, done := start(t, g, time.Millisecond)
	reader, writer := io.Pipe()
	defer writer.Close()
	status := put(t, g.url(0), reader)
	_, _ = writer.Write([]byte("begun"))
	<-begun
	stop()
	if err := <-done; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still under way") {
		t.Errorf("the error is %v", err)
	}
	_ = writer.CloseWithError(io.ErrClosedPipe)
	if got := <-status; got == http.StatusOK {
		t.Errorf("the upload was answered %d", got)
	}
}

// TestASlowHeaderIsCut, and a body may be as slow as it likes: there is no limit for it.
func TestASlowHeaderIsCut(t *testing.T) {
	g := listen(t, http.NotFoundHandler())
	if s := g.servers[0]; s.ReadHeaderTimeout != headerTimeout || s.ReadTimeout != 0 || s.WriteTimeout != 0 || s.IdleTimeout != idleTimeout || s.MaxHeaderBytes != maxHeaderBytes {
		t.Errorf("limits: %+v", s)
	}
	g.servers[0].ReadHeaderTimeout = time.Millisecond
	start(t, g, time.Second)
	conn, err := net.Dial("tcp", g.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nSlow: ")
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection was not closed: %v", err)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	g := listen(t, http.NotFoundHandler())
	start(t, g, time.Second)
	conn, err := net.Dial("tcp", g.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nLarge: "+strings.Repeat("x", maxHeaderBytes+8<<10)+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %v, %v", resp, err)
	}
}

func TestAnAddressInUse(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	address := taken.Listener.Addr().String()
	_, err := Listen(t.Context(), quiet(), Listener{Name: "admin", Address: "127.0.0.1:0"}, Listener{Name: "source", Address: address, Setting: "--listen-address"})
	if err == nil || !strings.HasPrefix(err.Error(), "listen tcp "+address) || !strings.HasSuffix(err.Error(), "choose another --listen-address") {
		t.Errorf("the error is %v", err)
	}
}

func TestAdminHasNothingElse(t *testing.T) {
	admin := Admin(func() bool { return true }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for target, want := range map[string]int{"GET /livez": 200, "GET /readyz": 200, "GET /metrics": 418, "GET /": 404, "GET /debug/pprof/": 404, "POST /livez": 405} {
		method, path, _ := strings.Cut(target, " ")
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
}
