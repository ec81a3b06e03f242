// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// headerOf returns a request with so many lines of header.
func headerOf(lines int) string {
	var b strings.Builder
	b.WriteString("Host: x\r\nContent-Length: 200\r\n")
	for i := range lines - 3 { // the request line counts
		fmt.Fprintf(&b, "%x:\n", i)
	}
	return b.String()
}

// TestHeadersHaveFewLines: what is over the limit is refused in OCI JSON, on a connection's first request and on
// later ones. Lines of a body are no lines of a header.
func TestHeadersHaveFewLines(t *testing.T) {
	g := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	start(t, g, time.Second)
	few := "POST / HTTP/1.1\r\n" + headerOf(maxHeaderLines) + "\r\n" + strings.Repeat("\n", 200)
	for name, test := range map[string]struct {
		sent string
		want []int
	}{
		"as many as there may be": {few, []int{200}},
		"one more":                {"POST / HTTP/1.1\r\n" + headerOf(maxHeaderLines+1) + "\r\n", []int{431}},
		"many, and no end":        {"POST / HTTP/1.1\r\n" + headerOf(6000), []int{431}},
		"after other requests":    {few + few + "\r\n\nPOST / HTTP/1.1\r\n" + headerOf(6000), []int{200, 200, 431}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", g.listeners[0].Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() { _, _ = io.WriteString(conn, test.sent) }()
			answers := bufio.NewReader(conn)
			for i, want := range test.want {
				resp, err := http.ReadResponse(answers, nil)
				if err != nil || resp.StatusCode != want {
					t.Fatalf("answer %d: %v (%v), want %d", i, resp, err, want)
				}
				var body oci.ErrorBody
				if want == 431 && (json.NewDecoder(resp.Body).Decode(&body) != nil || len(body.Errors) != 1 || body.Errors[0].Code != oci.HeaderTooLarge) {
					t.Errorf("the error is %v", body)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
}

// TestWhatAConnectionCosts before its request is admitted: no header makes it more than what capacity counts
// with.
func TestWhatAConnectionCosts(t *testing.T) {
	g := listen(t, http.NotFoundHandler())
	start(t, g, time.Second)
	for name, header := range map[string]string{
		"many short lines": "GET / HTTP/1.1\r\n" + headerOf(6000),
		"long lines":       "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("k"+strings.Repeat("x", 1000)+":v\r\n", 30),
		"a long line":      "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", maxHeaderBytes-100),
		"a long path":      "GET /?" + strings.Repeat("x", maxHeaderBytes-100),
	} {
		t.Run(name, func(t *testing.T) {
			const connections = 100
			before := inUse()
			for range connections {
				conn, err := net.Dial("tcp", g.listeners[0].Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, header); err != nil {
					t.Fatal(err)
				}
			}
			// All headers have arrived once a request that came after them is answered, but for what one
			// processor still has to do.
			if status := get(t, g.url(0)); status != http.StatusNotFound {
				t.Fatalf("answered %d", status)
			}
			if cost := (inUse() - before) / connections; cost > connectionCost {
				t.Errorf("a connection takes %d KiB, more than %d", cost>>10, connectionCost>>10)
			}
		})
	}
}

// inUse returns how many bytes are in use, after a collection.
func inUse() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}
