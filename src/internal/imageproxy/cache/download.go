// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/opencontainers/go-digest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// piece is how much of a blob is read at a time, in bytes.
	piece = 128 << 10
	// lingering is for how long a download goes on for which nobody waits: clients that broke off come back.
	lingering = time.Minute
	// fruitless is how many attempts in a row may bring nothing before a download ends.
	fruitless = 4
	// standstill is how long nothing may arrive before no further attempt is made. A registry that is silent for
	// its whole limit, twice, is over it.
	standstill = 90 * time.Second
	// maxPause is the longest pause between two attempts.
	maxPause = 5 * time.Second
)

var (
	errDigest = errors.New("the registry sent another content than the digest says")
	// errSpool is for a disk that does not take what arrives. Readers then go on by themselves.
	errSpool = errors.New("write what arrives to the disk")
	// errUnwanted ends a download for which nobody waits any more.
	errUnwanted = errors.New("nobody waits for it any more")
)

// download is one blob on its way from a registry, for all who want it.
type download struct {
	*View
	// key is that of downloads, and digest the blob's.
	key    string
	digest digest.Digest
	// request is for the whole blob.
	request *http.Request
	end     context.CancelCauseFunc

	// What follows is set before begun is closed. refused and err are in place of content; passed: the cache can
	// have no part.
	begun   chan struct{}
	refused *said
	err     error
	passed  bool
	size    int64 // -1: not known
	spool   *os.File

	mu      sync.Mutex
	arrived int64
	moved   chan struct{} // closed when more has arrived
	ended   bool
	failure error
	done    bool // and what arrived is only for those who read it
	readers int
	linger  *time.Timer
}

// join returns the download of a blob that is under way for this repository, or begins one. The caller has to
// leave it.
func (v *View) join(req *http.Request, blob digest.Digest) (d *download, began bool) {
	c, key := v.cache, v.scope+" "+blob.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.downloads[key]; d != nil && d.enter() {
		return d, false
	}
	ctx, end := context.WithCancelCause(context.WithoutCancel(req.Context()))
	stop := context.AfterFunc(c.ctx, func() { end(context.Canceled) })
	d = &download{
		View: &View{cache: c, registry: v.registry, name: v.name, scope: v.scope},
		key:  key, digest: blob, request: req.Clone(ctx), end: end,
		begun: make(chan struct{}), moved: make(chan struct{}), readers: 1, size: -1,
	}
	d.request.Header = http.Header{}
	c.downloads[key] = d
	c.running.Go(func() {
		defer stop()
		defer end(nil)
		d.run(ctx)
	})
	return d, true
}

// underWay returns a download of the same blob from the same registry for another repository; nil: there is
// none. The caller has to leave it, and must know that the blob is in its own repository, too.
func (v *View) underWay(blob digest.Digest) *download {
	c := v.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.downloads {
		if d.digest == blob && d.name == v.name && d.registry == v.registry && d.scope != v.scope && d.arriving() && d.enter() {
			return d
		}
	}
	return nil
}

// arriving reports whether the registry has begun to send the blob.
func (d *download) arriving() bool {
	select {
	case <-d.begun:
		return d.spool != nil
	default:
		return false
	}
}

// enter counts a reader. It is false for a download that has failed.
func (d *download) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return false
	}
	d.readers++
	if d.linger != nil {
		d.linger.Stop()
	}
	return true
}

// leave ends what enter began.
func (d *download) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers--
	switch {
	case d.readers > 0:
	case d.done:
		d.closeSpool()
	case d.ended:
	case d.linger == nil:
		d.linger = time.AfterFunc(lingering, d.giveUp)
	default:
		d.linger.Reset(lingering)
	}
}

// giveUp ends the download if still nobody waits for it.
func (d *download) giveUp() {
	d.mu.Lock()
	unwanted := d.readers == 0 && !d.ended
	d.mu.Unlock()
	if unwanted {
		d.end(errUnwanted)
	}
}

// closeSpool is called with the lock.
func (d *download) closeSpool() {
	if d.spool != nil {
		_ = d.spool.Close()
	}
}

// run downloads the blob, keeps it, and forgets the download.
func (d *download) run(ctx context.Context) {
	body := d.begin(ctx)
	close(d.begun)
	var failure error
	if body == nil {
		failure = errUnwanted
	} else if failure = d.receive(ctx, body); failure == nil {
		d.progress(0, true, nil)
		d.store()
	} else if !errors.Is(failure, context.Canceled) && !errors.Is(failure, errUnwanted) {
		d.cache.cfg.Log.Warn("a blob could not be fetched whole", "registry", d.name, "digest", d.digest.String(),
			"arrived", d.arrived, "size", d.size, "error", failure.Error())
	}
	d.progress(0, true, failure)
	d.cache.mu.Lock()
	if d.cache.downloads[d.key] == d {
		delete(d.cache.downloads, d.key)
	}
	d.cache.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	if d.linger != nil {
		d.linger.Stop()
	}
	if d.readers == 0 {
		d.closeSpool()
	}
}

// begin sends the request. It returns the body of a blob that can be shared.
func (d *download) begin(ctx context.Context) io.ReadCloser {
	resp, err := d.registry.RoundTrip(d.request)
	if errors.Is(err, io.ErrUnexpectedEOF) { // it broke off behind the header
		resp, err = d.registry.RoundTrip(d.request)
	}
	if err != nil {
		d.err = err
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		if d.refused, d.err = hear(http.MethodGet, resp); d.err == nil && d.refused.large {
			d.refused.size = 0
		}
		return nil
	}
	// What is compressed on the way has another digest (quirk D3).
	if resp.Header.Get("Content-Encoding") != "" || !d.digest.Algorithm().Available() {
		_ = resp.Body.Close()
		d.passed = true
		return nil
	}
	if resp.ContentLength == 0 && d.digest != d.digest.Algorithm().FromBytes(nil) {
		_ = resp.Body.Close()
		d.err = errDigest // there is no last byte that could be held back
		return nil
	}
	spool, err := newSpool(d.cache.spools)
	if err != nil {
		_ = resp.Body.Close()
		d.cache.failed("make a file for what arrives", err)
		d.passed = true
		return nil
	}
	d.spool, d.size = spool, resp.ContentLength
	d.cache.keep(ctx, d.answerKey(oci.Blob, d.digest.String(), ""), answer{Header: keptHeader(resp.Header), Size: d.size})
	return resp.Body
}

// newSpool makes a file that is gone with the process, however it ends.
func newSpool(dir string) (*os.File, error) {
	spool, err := os.CreateTemp(dir, "arriving-*.tmp")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(spool.Name()) // where this is not possible while it is open, the next start removes it
	return spool, nil
}

// another opens the file of a spool once more, with a place of its own to read from. Only Linux has a name for a
// file that has none.
func another(spool *os.File) (*os.File, error) {
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", spool.Fd()))
}

// receive reads the blob to its end. When the registry breaks off, it goes on from there.
func (d *download) receive(ctx context.Context, body io.ReadCloser) error {
	defer func() {
		if body != nil {
			_ = body.Close()
		}
	}()
	sum, buffer := d.digest.Algorithm().Hash(), make([]byte, piece)
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 200*time.Millisecond, maxPause
	for failed, moved := 0, time.Now(); ; {
		before := d.arrived
		err := d.read(body, sum, buffer)
		switch whole := digest.NewDigest(d.digest.Algorithm(), sum) == d.digest; {
		case whole: // if it broke off, then behind the last byte
			return nil
		case err == nil:
			return errDigest
		case errors.Is(err, errSpool), errors.Is(err, errDigest):
			return err
		case d.arrived > before:
			failed, moved = 0, time.Now()
			pauses.Reset()
		}
		_ = body.Close()
		for body = nil; body == nil; {
			if failed++; failed > fruitless || time.Since(moved) > standstill {
				return err
			}
			if err := upstream.Sleep(ctx, pauses.NextBackOff()); err != nil {
				return err
			}
			if body, err = d.from(d.request, d.arrived); err != nil && !errors.Is(err, errNoRest) {
				return err
			}
		}
	}
}

// read reads a body into the spool. It returns nil at the end of the blob.
func (d *download) read(body io.Reader, sum hash.Hash, buffer []byte) error {
	for {
		n, err := body.Read(buffer)
		if d.size >= 0 && d.arrived+int64(n) > d.size {
			return errDigest
		}
		if n > 0 {
			if _, err := d.spool.WriteAt(buffer[:n], d.arrived); err != nil {
				d.cache.failed("write what arrives", err)
				return fmt.Errorf("%w: %w", errSpool, err)
			}
			sum.Write(buffer[:n]) // of what is on the disk, and nothing else
			d.cache.cfg.Observer.CacheFetched(n)
			d.progress(n, false, nil)
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return err
		case d.size >= 0 && d.arrived < d.size:
			return io.ErrUnexpectedEOF
		default:
			return nil
		}
	}
}

// progress tells those who wait that more has arrived, or that no more will.
func (d *download) progress(n int, ended bool, failure error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arrived += int64(n)
	d.ended, d.failure = d.ended || ended, failure
	close(d.moved)
	d.moved = make(chan struct{})
}

// store keeps the whole blob.
func (d *download) store() {
	c, key := d.cache, contentKey(d.digest.String())
	if err := c.storage.Put(c.ctx, key, io.NewSectionReader(d.spool, 0, d.arrived)); err != nil {
		return // has been told
	}
	if object, err := c.storage.Open(c.ctx, key); err == nil {
		c.verified.add(key, object)
		_ = object.Close()
	}
}
