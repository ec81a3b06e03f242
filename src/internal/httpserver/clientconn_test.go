// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener in memory, so that time in a synctest bubble is that of the connections too.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// answerSize is how much a GET is answered with, in bytes.
const answerSize = 256 << 10

// moves reads bodies whole, and sends large answers.
func moves(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPut {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	}
	w.Header().Set("Content-Length", strconv.Itoa(answerSize))
	if _, err := io.Copy(w, bytes.NewReader(make([]byte, answerSize))); err != nil {
		return errBrokeOff
	}
	return nil
}

// line is a slow one: each read and each write is of few bytes, and after a pause.
type line struct {
	net.Conn
	pause time.Duration
	bytes int
}

func (l *line) Read(p []byte) (int, error) {
	time.Sleep(l.pause)
	return l.Conn.Read(p[:min(len(p), l.bytes)])
}

func (l *line) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		var part int
		time.Sleep(l.pause)
		part, err = l.Conn.Write(p[n:min(len(p), n+l.bytes)])
		n += part
	}
	return n, err
}

// over runs a test against a server, in a bubble in which time is the test's. It passes the test a connection,
// above TLS where that is asked for, and the line below. It returns what was logged.
func over(t *testing.T, secured bool, handler HandlerFunc, test func(t *testing.T, conn net.Conn, below *line)) (log string) {
	t.Helper()
	var config *tls.Config
	if secured {
		server := httptest.NewUnstartedServer(nil)
		server.StartTLS()
		config = server.TLS.Clone()
		server.Close()
	}
	var lines bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		listener := &pipes{make(chan net.Conn), make(chan struct{})}
		g := &Group{logger: quiet()}
		logged := AccessLog{Side: "test", Logger: slog.New(slog.NewJSONHandler(&lines, nil))}.Handler(handler)
		g.add(Listener{Name: "test", Handler: logged, TLS: config}, listener)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Serve(ctx, 10*time.Minute) }()
		client, server := net.Pipe()
		listener.conns <- server
		below := &line{Conn: client, bytes: 32 << 10}
		var conn net.Conn = below
		if secured {
			conn = tls.Client(below, &tls.Config{InsecureSkipVerify: true})
		}
		test(t, conn, below)
		_ = client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lines.String()
}

// answered reads an answer's header, which has to be a 200.
func answered(t *testing.T, reader *bufio.Reader) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("answered %v, %v", response, err)
	}
	return response
}

func plainAndSecured(t *testing.T, run func(t *testing.T, secured bool)) {
	for name, secured := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) { run(t, secured) })
	}
}

// TestABodyThatStops ends its request after a minute.
func TestABodyThatStops(t *testing.T) {
	plainAndSecured(t, func(t *testing.T, secured bool) {
		log := over(t, secured, moves, func(t *testing.T, conn net.Conn, _ *line) {
			_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsome")
			began := time.Now()
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode < 400 {
				t.Errorf("answered %v, %v", response, err)
			}
			if took := time.Since(began); took < silence || took > silence+10*time.Second {
				t.Errorf("ended after %s", took)
			}
		})
		if !strings.Contains(log, errSendsNothing.Error()) {
			t.Errorf("the log does not say why: %s", log)
		}
	})
}

// TestASlowBodyIsNotCut: a byte every fifty seconds is a body that moves, also where TLS holds it back until its
// record is complete.
func TestASlowBodyIsNotCut(t *testing.T) {
	plainAndSecured(t, func(t *testing.T, secured bool) {
		over(t, secured, moves, func(t *testing.T, conn net.Conn, below *line) {
			_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
			began := time.Now()
			below.pause, below.bytes = 50*time.Second, 1
			_, _ = conn.Write(make([]byte, 1000))
			below.pause, below.bytes = 0, 32<<10
			answered(t, bufio.NewReader(conn))
			if took := time.Since(began); took < 1000*50*time.Second {
				t.Errorf("it took %s only", took)
			}
		})
	})
}

// TestAnAnswerThatNobodyReads ends after a minute.
func TestAnAnswerThatNobodyReads(t *testing.T) {
	plainAndSecured(t, func(t *testing.T, secured bool) {
		log := over(t, secured, moves, func(t *testing.T, conn net.Conn, _ *line) {
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			response := answered(t, bufio.NewReader(conn))
			time.Sleep(silence + 10*time.Second)
			if n, err := io.Copy(io.Discard, response.Body); err == nil || n == answerSize {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
		if !strings.Contains(log, errReadsNothing.Error()) {
			t.Errorf("the log does not say why: %s", log)
		}
	})
}

// TestAnAnswerThatIsReadSlowly is not cut.
func TestAnAnswerThatIsReadSlowly(t *testing.T) {
	plainAndSecured(t, func(t *testing.T, secured bool) {
		over(t, secured, moves, func(t *testing.T, conn net.Conn, below *line) {
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			response := answered(t, bufio.NewReader(conn))
			below.pause, below.bytes = 50*time.Second, 100
			if n, err := io.Copy(io.Discard, response.Body); err != nil || n != answerSize {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	})
}

// TestTheRegistrysTimeIsNotTheClients: a handler that is busy elsewhere for an hour, in the middle of a body and
// after it, goes on.
func TestTheRegistrysTimeIsNotTheClients(t *testing.T) {
	plainAndSecured(t, func(t *testing.T, secured bool) {
		slow := func(_ http.ResponseWriter, r *http.Request) error {
			_, _ = r.Body.Read(make([]byte, 1))
			time.Sleep(time.Hour)
			_, err := io.Copy(io.Discard, r.Body)
			time.Sleep(time.Hour)
			return errors.Join(err, r.Context().Err())
		}
		over(t, secured, slow, func(t *testing.T, conn net.Conn, _ *line) {
			go func() {
				_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789")
			}()
			answered(t, bufio.NewReader(conn))
		})
	})
}
