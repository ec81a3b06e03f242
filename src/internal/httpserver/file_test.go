// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// kernel is a listener that counts the bytes of files that its connections are given whole.
type kernel struct {
	net.Listener
	files *atomic.Int64
}

func (k kernel) Accept() (net.Conn, error) {
	conn, err := k.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return kernelConn{conn, k.files}, nil
}

type kernelConn struct {
	net.Conn
	files *atomic.Int64
}

func (c kernelConn) ReadFrom(source io.Reader) (int64, error) {
	n, err := io.Copy(struct{ io.Writer }{c.Conn}, source)
	if limited, ok := source.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			c.files.Add(n)
		}
	}
	return n, err
}

// TestAFileReachesTheKernel: nothing between a handler and the connection copies a file. Other answers pass as well.
func TestAFileReachesTheKernel(t *testing.T) {
	content := bytes.Repeat([]byte("content "), 1<<16)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	log := slog.New(slog.DiscardHandler)
	for name, logged := range map[string]http.Handler{
		"alone": handler, "below the access log": AccessLog{Logger: log}.Handler(func(w http.ResponseWriter, r *http.Request) error {
			handler(w, r)
			return nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			g, files := &Group{logger: log}, &atomic.Int64{}
			g.add(Listener{Name: "test", Handler: logged}, kernel{listener, files})
			go func() { _ = g.servers[0].Serve(g.listeners[0]) }()
			t.Cleanup(func() { _ = g.servers[0].Close() })
			response, err := http.Get("http://" + listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			// net/http looks at the first bytes itself.
			if n := files.Load(); n < int64(len(content))-1024 {
				t.Errorf("%d bytes of %d were given to the kernel", n, len(content))
			}
		})
	}
}
