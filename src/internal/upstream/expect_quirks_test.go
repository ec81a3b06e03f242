// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// expecting is a registry that treats the announcement of a body in its own way, and remembers which requests
// had one.
type expecting struct {
	mu     sync.Mutex
	asks   bool
	status int // in place of the body's reading, for a request that announces one; 0: it is read
	seen   []string
}

func (e *expecting) set(asks bool, status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asks, e.status = asks, status
}

func (e *expecting) taken() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() { e.seen = nil }()
	return strings.Join(e.seen, ", ")
}

func (e *expecting) serve(conn net.Conn, requests *bufio.Reader) {
	for {
		req, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		if req.URL.Path == "/v2/" {
			_, _ = io.WriteString(conn, ok)
			continue
		}
		e.mu.Lock()
		asks, status, announced := e.asks, e.status, req.Header.Get("Expect") != ""
		e.mu.Unlock()
		if announced && status != 0 {
			e.note("announced: refused")
			_, _ = io.WriteString(conn, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		}
		if announced && asks {
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		content, _ := io.ReadAll(req.Body)
		if announced {
			e.note("announced: " + string(content))
		} else {
			e.note(string(content))
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
	}
}

func (e *expecting) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, what)
}

// quirk U12: a registry that never says 100 is waited for once, and hardly from there on; one that says it
// again is waited for.
func TestQuirkU12RegistriesThatNeverAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &expecting{}
		r := raw(t, upstream.Config{}, e.serve)
		put := func(want time.Duration) {
			t.Helper()
			_, took, err := ask(t, r, upstream.Call{}, "PUT", strings.NewReader("{}"))
			if seen := e.taken(); err != nil || took != want || seen != "announced: {}" {
				t.Errorf("took %v, want %v; %v; the registry saw %s", took, want, err, seen)
			}
		}
		put(time.Second)
		put(50 * time.Millisecond)
		put(50 * time.Millisecond)
		e.set(true, 0)
		put(0)
		e.set(false, 0)
		put(time.Second)
	})
}

// quirk U12: 417 leads to one more try without the announcement, with the same body, and is remembered for a
// while.
func TestQuirkU12RegistriesThatRefuseTheAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &expecting{status: 417}
		r := raw(t, upstream.Config{}, e.serve)
		put := func(want string) {
			t.Helper()
			_, took, err := ask(t, r, upstream.Call{}, "PUT", strings.NewReader("{}"))
			if seen := e.taken(); err != nil || took != 0 || seen != want {
				t.Errorf("%v after %v; the registry saw %s, want %s", err, took, seen, want)
			}
		}
		put("announced: refused, {}")
		put("{}")
		time.Sleep(11 * time.Minute) // of the bubble
		put("announced: refused, {}")
		e.set(true, 0)
		time.Sleep(11 * time.Minute)
		put("announced: {}")
	})
}
