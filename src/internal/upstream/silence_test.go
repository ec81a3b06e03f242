// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// raw is a registry of which every connection is served by a function, in the time of the test's bubble.
func raw(t *testing.T, cfg upstream.Config, serve func(conn net.Conn, requests *bufio.Reader)) *upstream.Registry {
	t.Helper()
	cfg.Host, cfg.PlainHTTP = "registry.example.com", true
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(server, bufio.NewReader(server))
		}()
		return client, nil
	}
	r, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// greeted answers at /v2/, and leaves every other request to a function. The header of a request has been
// read by then.
func greeted(serve func(conn net.Conn, req *http.Request)) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, requests *bufio.Reader) {
		for {
			req, err := http.ReadRequest(requests)
			if err != nil {
				return
			}
			if req.URL.Path != "/v2/" {
				serve(conn, req)
				return
			}
			_, _ = io.WriteString(conn, ok)
		}
	}
}

// gone returns once the proxy has closed the connection.
func gone(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// ask makes one request, reads all of its answer, and returns how long that took.
func ask(t *testing.T, r *upstream.Registry, call upstream.Call, method string, content io.Reader) (string, time.Duration, error) {
	t.Helper()
	start := time.Now()
	req, err := http.NewRequestWithContext(upstream.WithCall(t.Context(), call), method, "http://registry.example.com/v2/a/manifests/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	if content != nil {
		req.Body, req.ContentLength = upstream.NewBody(content), -1
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := r.RoundTrip(req)
	if err != nil {
		return "", time.Since(start), err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return string(got), time.Since(start), err
}

// TestASilentRegistry holds nothing for ever, in whatever state it stops to answer. The error is a timeout,
// and nothing is repeated.
func TestASilentRegistry(t *testing.T) {
	endless := func() io.Reader { return io.MultiReader(strings.NewReader("begin"), forever{}) }
	for name, test := range map[string]struct {
		method  string
		content func() io.Reader
		call    upstream.Call
		serve   func(conn net.Conn, req *http.Request)
		most    time.Duration
	}{
		"no answer": {method: "GET", most: time.Minute, serve: func(conn net.Conn, _ *http.Request) { gone(conn) }},
		"half a header": {method: "GET", most: time.Minute, serve: func(conn net.Conn, _ *http.Request) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Le")
			gone(conn)
		}},
		"a header that trickles": {method: "HEAD", most: time.Minute, serve: func(conn net.Conn, _ *http.Request) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: ")
			for {
				if _, err := io.WriteString(conn, "x"); err != nil {
					return
				}
				time.Sleep(20 * time.Second)
			}
		}},
		"no body": {method: "GET", most: time.Minute, serve: func(conn net.Conn, _ *http.Request) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 9\r\n\r\n")
			gone(conn)
		}},
		"half a body": {method: "GET", most: time.Minute, serve: func(conn net.Conn, _ *http.Request) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
			gone(conn)
		}},
		"no answer after a body": {method: "PUT", most: time.Minute + time.Second, content: func() io.Reader { return strings.NewReader("{}") },
			serve: func(conn net.Conn, _ *http.Request) { gone(conn) }},
		"a body that nobody reads": {method: "PATCH", most: time.Minute + time.Second, content: endless,
			serve: func(net.Conn, *http.Request) { time.Sleep(time.Hour) }},
		// It is looked at every five seconds.
		"a body of which nobody reads the rest": {method: "PATCH", most: time.Minute + 5*time.Second, content: endless,
			serve: func(conn net.Conn, _ *http.Request) {
				_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
				_, _ = io.ReadFull(conn, make([]byte, 1<<20))
				time.Sleep(time.Hour)
			}},
		"a blob that is never put together": {method: "PUT", most: 15 * time.Minute, call: upstream.Call{Commits: true},
			serve: func(conn net.Conn, _ *http.Request) { gone(conn) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var requests atomic.Int32
				r := raw(t, upstream.Config{}, greeted(func(conn net.Conn, req *http.Request) {
					requests.Add(1)
					test.serve(conn, req)
				}))
				var content io.Reader
				if test.content != nil {
					content = test.content()
				}
				_, took, err := ask(t, r, test.call, test.method, content)
				timeout, is := errors.AsType[net.Error](err)
				if !is || !timeout.Timeout() {
					t.Errorf("the error is %v, want a timeout", err)
				}
				if took < test.most-time.Second || took > test.most+time.Second {
					t.Errorf("it ended after %v, want %v", took, test.most)
				}
				if requests.Load() != 1 {
					t.Errorf("the registry was asked %d times", requests.Load())
				}
				time.Sleep(2 * time.Hour) // of the bubble: all registries come to their end
			})
		})
	}
}

type forever struct{}

func (forever) Read(p []byte) (int, error) { return len(p), nil }

// TestWhatMovesIsNotCut, however slow it is.
func TestWhatMovesIsNotCut(t *testing.T) {
	const pause, pieces = 50 * time.Second, 100
	slowly := func(w io.Writer) {
		for range pieces {
			time.Sleep(pause)
			_, _ = io.WriteString(w, "x")
		}
	}
	for name, test := range map[string]struct {
		method  string
		call    upstream.Call
		content func() io.Reader
		serve   func(conn net.Conn, req *http.Request)
		want    string
	}{
		"a download": {method: "GET", want: strings.Repeat("x", pieces), serve: func(conn net.Conn, _ *http.Request) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nConnection: close\r\n\r\n")
			slowly(conn)
		}},
		"an upload by a slow client": {method: "PATCH", content: func() io.Reader {
			reader, writer := io.Pipe()
			go func() {
				slowly(writer)
				_ = writer.Close()
			}()
			return reader
		}, serve: func(conn net.Conn, req *http.Request) {
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(conn, ok)
		}},
		"an upload to a slow registry": {method: "PATCH", content: func() io.Reader { return io.LimitReader(forever{}, 256<<10) },
			serve: func(conn net.Conn, req *http.Request) {
				_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
				for n, err := 1, error(nil); n > 0 && err == nil; time.Sleep(pause) {
					n, err = req.Body.Read(make([]byte, 16<<10))
				}
				_, _ = io.WriteString(conn, ok)
			}},
		"a commit of many gigabytes": {method: "PUT", call: upstream.Call{Commits: true}, serve: func(conn net.Conn, _ *http.Request) {
			time.Sleep(14 * time.Minute)
			_, _ = io.WriteString(conn, ok)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := raw(t, upstream.Config{}, greeted(test.serve))
				var content io.Reader
				if test.content != nil {
					content = test.content()
				}
				got, took, err := ask(t, r, test.call, test.method, content)
				if err != nil || got != test.want {
					t.Errorf("after %v: %q, %v", took, got, err)
				}
			})
		})
	}
}

// TestInformationalAnswers: a few pass unseen, and an endless row of them is an error.
func TestInformationalAnswers(t *testing.T) {
	for _, status := range []string{"100 Continue", "102 Processing", "103 Early Hints"} {
		for _, endless := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var requests, sent atomic.Int32
				r := raw(t, upstream.Config{}, greeted(func(conn net.Conn, _ *http.Request) {
					requests.Add(1)
					for endless || sent.Load() < 3 {
						sent.Add(1)
						if _, err := io.WriteString(conn, "HTTP/1.1 "+status+"\r\nLink: </x>\r\n\r\n"); err != nil {
							return
						}
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
				}))
				got, took, err := ask(t, r, upstream.Call{}, "GET", nil)
				if endless != (err != nil) || !endless && got != "done" {
					t.Errorf("%s, endless %v: %q, %v", status, endless, got, err)
				}
				if requests.Load() != 1 || sent.Load() > 20 || took > time.Second {
					t.Errorf("%s: %d requests, %d answers, %v", status, requests.Load(), sent.Load(), took)
				}
			})
		}
	}
}

// TestASilentRegistryHoldsFewPlaces: more requests than it may hold are refused at once, with when to come
// again; and so it is with bodies that stop.
func TestASilentRegistryHoldsFewPlaces(t *testing.T) {
	const places = 5
	for name, serve := range map[string]func(conn net.Conn, req *http.Request){
		"no answer": func(conn net.Conn, _ *http.Request) { gone(conn) },
		"half a body": func(conn net.Conn, _ *http.Request) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
			gone(conn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := raw(t, upstream.Config{MaxWaiting: places}, greeted(serve))
				if _, err := r.Greet(t.Context()); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, places)
				for range places {
					go func() {
						_, _, err := ask(t, r, upstream.Call{}, "GET", nil)
						ended <- err
					}()
				}
				time.Sleep(10 * time.Second)
				_, took, err := ask(t, r, upstream.Call{}, "GET", nil)
				busy, is := errors.AsType[*upstream.Busy](err)
				if !is || busy.Status != 503 || busy.RetryAfter == "" || took > 0 {
					t.Errorf("one more than may wait: %v after %v", err, took)
				}
				for range places {
					<-ended
				}
				if _, _, err := ask(t, r, upstream.Call{}, "GET", nil); !isTimeout(err) {
					t.Errorf("once there is room again: %v", err)
				}
			})
		})
	}
}

func isTimeout(err error) bool {
	timeout, is := errors.AsType[net.Error](err)
	return is && timeout.Timeout()
}
