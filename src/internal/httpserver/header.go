// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// headersTooLarge is how net/http begins its answer to a header that is too large. It writes that answer to
// the connection before any handler is asked, and as plain text. No handler's answer begins so: it has more
// headers, and JSON.
const headersTooLarge = statusTooLarge + "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

const statusTooLarge = "HTTP/1.1 431 Request Header Fields Too Large\r\n"

// ociListener accepts connections on which that answer is OCI JSON, like any other error. With TLS its
// connections are those above TLS, where the answer can be read.
type ociListener struct {
	net.Listener
	// buffers are for files that the kernel cannot send: what is behind TLS.
	buffers *sync.Pool
}

// fileBuffer is how much of such a file is read at a time, in bytes.
const fileBuffer = 64 << 10

func newOCIListener(listener net.Listener) ociListener {
	return ociListener{listener, &sync.Pool{New: func() any { return new([fileBuffer]byte) }}}
}

// Accept implements [net.Listener].
func (l ociListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return ociConn{Conn: conn, header: &headerLines{}, buffers: l.buffers}, nil
}

type ociConn struct {
	net.Conn
	header  *headerLines
	buffers *sync.Pool
}

// Write implements [net.Conn].
func (c ociConn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, []byte(headersTooLarge)) {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(tooLarge()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadFrom implements [io.ReaderFrom], which net/http looks for: of a file, the kernel sends the content.
func (c ociConn) ReadFrom(source io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(source)
	}
	buffer, _ := c.buffers.Get().(*[fileBuffer]byte)
	defer c.buffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{c.Conn}, source, buffer[:])
}

// tooLarge is the whole answer, written as a handler would write it.
func tooLarge() []byte {
	answer := answerWriter{header: http.Header{"Connection": {"close"}}}
	// It is written to memory.
	_ = oci.WriteError(&answer, oci.Errorf(oci.HeaderTooLarge,
		"the header of the request is larger than %d KiB, or has more than %d lines", maxHeaderBytes>>10, maxHeaderLines))
	var out bytes.Buffer
	out.WriteString(statusTooLarge)
	_ = answer.header.Write(&out)
	out.WriteString("\r\n")
	out.Write(answer.body)
	return out.Bytes()
}

// answerWriter keeps an answer.
type answerWriter struct {
	header http.Header
	body   []byte
}

func (w *answerWriter) Header() http.Header { return w.header }

func (w *answerWriter) Write(p []byte) (int, error) {
	w.body = append(w.body, p...)
	return len(p), nil
}

func (*answerWriter) WriteHeader(int) {}
