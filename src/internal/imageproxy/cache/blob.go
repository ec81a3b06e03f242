// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Open implements [engine.Cache]. A blob that is kept, or that arrives for another repository, is opened only
// where the registry has said that it is in this one (quirk D8), within a day.
func (v *View) Open(req *http.Request, blob string) (*engine.Content, *http.Response, error) {
	want := digest.Digest(blob)
	if !want.Algorithm().Available() {
		v.note(oci.Blob, Bypass)
		return nil, nil, nil
	}
	object, err := v.cache.storage.Open(req.Context(), contentKey(blob))
	if err != nil {
		return v.arriving(req, want)
	}
	if object.Size() == 0 && want != want.Algorithm().FromBytes(nil) { // nothing of it is read later
		v.cache.damaged(req.Context(), contentKey(blob), "it is empty")
		_ = object.Close()
		return v.fetch(req, want)
	}
	there, err := v.present(req, want)
	if err == nil && there.certain && there.size >= 0 && there.size != object.Size() {
		v.cache.damaged(req.Context(), contentKey(blob), fmt.Sprintf("%d bytes, and not %d", object.Size(), there.size))
		there.certain = false
	}
	if err != nil || !there.certain {
		_ = object.Close()
		if err != nil || there.refused != nil {
			return nil, there.refused, err
		}
		return v.fetch(req, want)
	}
	content, err := v.kept(req, object, want)
	if err != nil {
		return v.fetch(req, want)
	}
	v.note(oci.Blob, there.result)
	v.warning = there.warning
	return content, nil, nil
}

// presence is whether a repository has a blob.
type presence struct {
	// certain: it has. refused is the registry's answer where it has not.
	certain bool
	refused *http.Response
	size    int64 // -1: not known
	result  Result
	warning string
}

// present finds out whether the registry has a blob in this repository.
func (v *View) present(req *http.Request, blob digest.Digest) (presence, error) {
	ctx, key := req.Context(), v.answerKey(oci.Blob, blob.String(), "")
	last, limit := v.cache.last(ctx, key, false), askLimit
	if last != nil && last.age() < v.certain() {
		return presence{certain: true, size: last.Size, result: Hit}, nil
	}
	stale := last != nil && v.mayBeStale(last, v.certain())
	if stale {
		limit = patience
	}
	look := req.Clone(ctx)
	look.Method, look.Header = http.MethodHead, http.Header{}
	now, _, err := v.ask(look, key, limit)
	if stale && v.unable(ctx, now, err) {
		v.logStale(ctx, last, now, err)
		return presence{certain: true, size: last.Size, result: Stale, warning: staleWarning(last)}, nil
	}
	switch {
	case err != nil:
		return presence{}, err
	case now.status == http.StatusOK:
		v.cache.keep(ctx, key, answer{Header: keptHeader(now.header), Size: now.size})
		return presence{certain: true, size: now.size, result: Hit}, nil
	case now.status == http.StatusNotFound && last != nil:
		v.cache.forget(ctx, key)
	case now.status != http.StatusNotFound && now.status != http.StatusTooManyRequests:
		return presence{}, nil // whether it answers HEAD as it answers GET is not known
	}
	return presence{refused: now.response(req)}, nil //nolint:bodyclose // its body is in memory
}

// arriving opens a blob that is not kept. It joins a download for another repository, if one is under way and
// the registry has the blob in this one as well.
func (v *View) arriving(req *http.Request, blob digest.Digest) (*engine.Content, *http.Response, error) {
	d := v.underWay(blob)
	if d == nil {
		return v.fetch(req, blob)
	}
	if there, err := v.present(req, blob); err == nil && there.certain {
		v.note(oci.Blob, Shared)
		return v.content(d, req), nil, nil
	}
	d.leave()
	return v.fetch(req, blob)
}

// fetch opens a blob on its way from the registry.
func (v *View) fetch(req *http.Request, blob digest.Digest) (*engine.Content, *http.Response, error) {
	d, began := v.join(req, blob)
	select {
	case <-d.begun:
	case <-req.Context().Done():
		d.leave()
		return nil, nil, req.Context().Err()
	}
	result := Shared
	if began {
		result = Miss
	}
	if d.spool != nil {
		v.note(oci.Blob, result)
		return v.content(d, req), nil, nil
	}
	d.leave()
	switch {
	case d.err != nil:
		return nil, nil, d.err
	case d.refused != nil:
		v.note(oci.Blob, result)
		return nil, d.refused.response(req), nil
	default:
		v.note(oci.Blob, Bypass)
		return nil, nil, nil
	}
}

// content is a download as one request reads it.
func (v *View) content(d *download, req *http.Request) *engine.Content {
	r := &reader{d: d, rest: rest{view: v, request: req}}
	return &engine.Content{ReadSeeker: r, Size: d.size, Close: r.close}
}

// reader reads a download at the pace at which it arrives. When the disk does not take it, the rest comes from a
// request of its own.
type reader struct {
	d    *download
	at   int64
	rest rest
	err  error
	// own is the spool as this request reads it, with a place of its own.
	own *os.File
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (n int, err error) {
	if !r.rest.begun() {
		n, err = r.d.readAt(r.rest.request.Context(), p, r.at)
	}
	if r.rest.begun() || errors.Is(err, errSpool) {
		n, err = r.rest.readAt(p, r.at)
	}
	r.at += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Seek implements [io.Seeker].
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.d.size
	}
	if offset < 0 {
		return 0, errors.New("seek in front of the blob")
	}
	r.at = offset
	return offset, nil
}

// File implements [engine.Arriving]. What has arrived goes to the client without a copy in this process.
func (r *reader) File(n int64) (*os.File, int64, error) {
	if r.rest.begun() {
		return nil, 0, nil
	}
	end, err := r.d.await(r.rest.request.Context(), r.at)
	switch {
	case errors.Is(err, errSpool):
		return nil, 0, nil // [reader.Read] goes on
	case err != nil:
		r.err = err
		return nil, 0, err
	case r.own == nil:
		if r.own, err = another(r.d.spool); err != nil {
			return nil, 0, nil //nolint:nilerr // the spool can be read all the same
		}
	}
	if _, err := r.own.Seek(r.at, io.SeekStart); err != nil {
		return nil, 0, err
	}
	return r.own, min(n, end-r.at), nil
}

// Sent implements [engine.Arriving].
func (r *reader) Sent(n int64) { r.at += n }

func (r *reader) close() error {
	r.rest.close()
	if r.own != nil {
		_ = r.own.Close()
	}
	r.d.leave()
	return r.err
}

// readAt reads what has arrived from a byte on, and waits until there is something.
func (d *download) readAt(ctx context.Context, p []byte, at int64) (int, error) {
	end, err := d.await(ctx, at)
	if err != nil {
		return 0, err
	}
	return d.spool.ReadAt(p[:min(int64(len(p)), end-at)], at)
}

// await returns where what may be read ends, and waits until that is behind a byte. The last byte is held back
// until the digest is known to be right, so that nobody receives another content whole.
func (d *download) await(ctx context.Context, at int64) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		end := d.arrived
		if !d.ended || d.failure != nil {
			end--
		}
		switch {
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case at < end:
			return end, nil
		case d.failure != nil:
			return 0, d.failure
		case d.ended:
			return 0, io.EOF
		}
		moved := d.moved
		d.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		d.mu.Lock()
	}
}

// kept is a blob of the storage.
func (v *View) kept(req *http.Request, object Object, blob digest.Digest) (*engine.Content, error) {
	c, key := v.cache, contentKey(blob.String())
	if c.cfg.SignedURLs {
		location, err := c.storage.SignedURL(req.Context(), key)
		_ = object.Close()
		return &engine.Content{Location: location, Close: func() error { return nil }}, err
	}
	if c.verified.has(key, object) {
		return &engine.Content{ReadSeeker: object.File(), Size: object.Size(), Close: object.Close}, nil
	}
	r := &checked{object: object, blob: blob, sum: blob.Algorithm().Hash(), rest: rest{view: v, request: req}}
	return &engine.Content{ReadSeeker: r, Size: object.Size(), Close: r.close}, nil
}
