// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Cache answers requests that read, in place of a registry. It is of one request.
type Cache interface {
	// Answer answers a request for a manifest or a list, and one that looks for a blob.
	Answer(req *http.Request, operation oci.Route) (*http.Response, error)
	// Open returns the content of a blob, or the registry's answer in its place. Without either, the registry is
	// to be asked as if there were no cache.
	Open(req *http.Request, digest string) (*Content, *http.Response, error)
	// Warning is what the client is told of the answer, in the form of a Warning header; empty: nothing.
	Warning() string
}

// Content is a blob that a cache has, or receives.
type Content struct {
	io.ReadSeeker
	// Size in bytes; -1: not known.
	Size int64
	// Location is where the client gets the blob instead; empty: here.
	Location string
	// Close ends the reading. Its error is why the blob could not be read to its end.
	Close func() error
}

// Arriving is a content of which one part after another comes to be in a file.
type Arriving interface {
	// File returns a file that stands where the content does, and how many of its bytes, up to n, are the content's
	// next. It waits until there are some. Without a file the content can only be read.
	File(n int64) (*os.File, int64, error)
	// Sent says how many of them were taken from the file.
	Sent(n int64)
}

// roundTrip sends a request to the cache, if the target has one, or else to the registry.
func (x *exchange) roundTrip(req *http.Request) (*http.Response, error) {
	if x.target.Cache == nil {
		return x.target.Registry.RoundTrip(req)
	}
	return x.target.Cache.Answer(req, x.route)
}

// serveBlob answers with a blob of the cache. It is false where the registry has to be asked.
func (x *exchange) serveBlob(w http.ResponseWriter, r *http.Request) (served bool, err error) {
	req, err := http.NewRequestWithContext(x.ctx, http.MethodGet, x.address.String(), http.NoBody)
	if err != nil {
		return true, fmt.Errorf("ask for a blob: %w", err)
	}
	content, resp, err := x.target.Cache.Open(req, x.route.Reference)
	switch {
	case err != nil:
		return true, x.explain(err)
	case resp != nil:
		defer discard(resp)
		x.entry.UpstreamStatus = resp.StatusCode
		if resp.StatusCode < http.StatusBadRequest {
			return true, x.explain(x.bounce(resp))
		}
		return true, x.explain(x.refusal(resp))
	case content == nil:
		return false, nil
	}
	defer func() { // however the sending ends
		if closed := content.Close(); closed != nil {
			err = closed
		}
	}()
	return true, x.send200(w, r, content)
}

// send200 sends a blob, or the part of it that the client asks for (RFC 9110, section 14).
func (x *exchange) send200(w http.ResponseWriter, r *http.Request, content *Content) error {
	header := w.Header()
	header.Set(contentDigest, x.route.Reference)
	header.Set("Cache-Control", "private, no-cache")
	if warning := x.target.Cache.Warning(); warning != "" {
		header.Set("Warning", warning)
	}
	if content.Location != "" {
		header.Set("Location", content.Location)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Etag", `"`+x.route.Reference+`"`)
	_, file := content.ReadSeeker.(*os.File)
	out := &blobWriter{ResponseWriter: w, ctx: x.ctx, slow: !file}
	if content.Size < 0 {
		if _, err := io.Copy(out, content); err != nil {
			panic(http.ErrAbortHandler) // so that the client does not take what it has for all
		}
		return nil
	}
	http.ServeContent(out, r.WithContext(x.ctx), "", time.Time{}, content.ReadSeeker)
	if out.unsatisfied {
		return oci.Errorf(oci.RangeInvalid, "the blob has %d bytes, and none where the range begins", content.Size).
			With("Content-Range", fmt.Sprintf("bytes */%d", content.Size))
	}
	return out.err
}

// blobWriter ends an answer with its context, which the copying of a file does not look at. It leaves the
// answer to a range that is none to its user.
type blobWriter struct {
	http.ResponseWriter
	ctx context.Context
	// slow: the content may come much later than the header.
	slow        bool
	unsatisfied bool
	err         error
}

// WriteHeader implements [http.ResponseWriter].
func (w *blobWriter) WriteHeader(status int) {
	if w.unsatisfied = status == http.StatusRequestedRangeNotSatisfiable; w.unsatisfied {
		return
	}
	w.ResponseWriter.WriteHeader(status)
	if w.slow {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // a failure shows in the next write
	}
}

func (w *blobWriter) Write(p []byte) (n int, err error) {
	switch {
	case w.unsatisfied:
		return len(p), nil
	case w.ctx.Err() != nil:
		err = context.Cause(w.ctx)
	default:
		n, err = w.ResponseWriter.Write(p)
	}
	if err != nil {
		w.err = err
	}
	return n, err
}

// stretch is how much of a file is sent between two looks at the context, in bytes.
const stretch = 4 << 20

// ReadFrom implements [io.ReaderFrom]. A file goes to the kernel, without a copy of its content.
func (w *blobWriter) ReadFrom(source io.Reader) (n int64, err error) {
	limited, ok := source.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{w}, source)
	}
	var content Arriving
	switch from := limited.R.(type) {
	case *os.File:
		content = whole{from}
	case Arriving:
		content = from
	default:
		return io.Copy(struct{ io.Writer }{w}, source)
	}
	for limited.N > 0 && err == nil {
		if err = context.Cause(w.ctx); err != nil {
			break
		}
		file, want, failed := content.File(min(limited.N, stretch))
		if file == nil && failed == nil {
			rest, failed := io.Copy(struct{ io.Writer }{w}, source)
			return n + rest, failed
		}
		if err = failed; err != nil {
			break
		}
		var sent int64
		sent, err = io.Copy(w.ResponseWriter, &io.LimitedReader{R: file, N: want})
		n, limited.N = n+sent, limited.N-sent
		content.Sent(sent)
		if err == nil && sent < want {
			err = io.ErrUnexpectedEOF // the file is shorter than it was
		}
	}
	if err != nil {
		w.err = err
	}
	return n, err
}

// whole is a file that has all of a content.
type whole struct{ file *os.File }

// File implements [Arriving].
func (w whole) File(n int64) (*os.File, int64, error) { return w.file, n, nil }

// Sent implements [Arriving].
func (whole) Sent(int64) {}
