// SPDX-License-Identifier: Apache-2.0

package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// guard ends a test that would wait for ever.
const guard = 30 * time.Second

// TestWhoAnnouncesABodyAndSendsNone gets the answer all the same, and loses the connection: there are only so
// many.
func TestWhoAnnouncesABodyAndSendsNone(t *testing.T) {
	for name, handle := range map[string]httpserver.HandlerFunc{
		"refused":  func(http.ResponseWriter, *http.Request) error { return oci.Errorf(oci.Denied, "no") },
		"failed":   func(http.ResponseWriter, *http.Request) error { panic("inner cause") },
		"answered": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(http.StatusOK); return nil },
		"with a body": func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, strings.Repeat("x", 10<<10))
			return err
		},
	} {
		for _, framing := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
			t.Run(name+", "+framing, func(t *testing.T) {
				t.Parallel()
				conn := dial(t, handle)
				fmt.Fprintf(conn, "POST /v2/ HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", framing)
				answer := bufio.NewReader(conn)
				resp, err := http.ReadResponse(answer, nil)
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Errorf("the answer is not whole: %v", err)
				}
				if _, err := answer.ReadByte(); err != io.EOF {
					t.Errorf("the connection is not closed: %v", err)
				}
			})
		}
	}
}

// TestWhoIsStillSendingGetsTheAnswer, and keeps the connection when all that was announced arrives.
func TestWhoIsStillSendingGetsTheAnswer(t *testing.T) {
	conn := dial(t, func(http.ResponseWriter, *http.Request) error { return oci.Errorf(oci.Denied, "no") })
	answers := bufio.NewReader(conn)
	for range 3 {
		content := strings.Repeat("x", 100<<10)
		fmt.Fprintf(conn, "POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusForbidden || resp.Close {
			t.Errorf("answered %d, %v; closes: %t", resp.StatusCode, err, resp.Close)
		}
	}
}

// dial connects to a server with one handler.
func dial(t *testing.T, handle httpserver.HandlerFunc) net.Conn {
	t.Helper()
	server := httptest.NewServer(httpserver.AccessLog{Logger: slog.New(slog.DiscardHandler)}.Handler(handle))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(guard)); err != nil {
		t.Fatal(err)
	}
	return conn
}
