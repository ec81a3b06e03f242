// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"io"
	"net/http"
	"sync/atomic"
)

// writer counts an answer and puts stamps on it: headers that every answer has.
type writer struct {
	http.ResponseWriter
	stamps http.Header
	// begun is called before the answer's header is written.
	begun   func()
	status  int
	written atomic.Int64
}

// Stamp puts a header on the answer, whoever writes it, and whatever headers an upstream sent. It must be
// called with a ResponseWriter of [Log.Handler], before the answer begins.
func Stamp(w http.ResponseWriter, name, value string) {
	if out, ok := w.(*writer); ok {
		out.Stamp(name, value)
		return
	}
	w.Header().Set(name, value)
}

func (w *writer) Stamp(name, value string) { w.stamps.Set(name, value) }

// WriteHeader implements [http.ResponseWriter]. Interim answers of the upstream end here: net/http sends "100
// Continue" itself when the body is first read, and ReverseProxy clears all headers after each one.
func (w *writer) WriteHeader(status int) {
	if status < 200 {
		return
	}
	if w.status == 0 {
		w.status = status
		for name, values := range w.stamps {
			w.Header()[name] = values
		}
		w.begun()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.written.Add(int64(n))
	return n, err
}

// ReadFrom implements [io.ReaderFrom]: net/http hands a file to the kernel.
func (w *writer) ReadFrom(source io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := io.Copy(w.ResponseWriter, source)
	w.written.Add(n)
	return n, err
}

// Unwrap lets [http.ResponseController] flush.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
