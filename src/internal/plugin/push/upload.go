// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// upload is how far one blob has come.
type upload struct {
	blob
	target string // of the session; empty: none
	offset int64  // bytes that the registry has
	unsure bool   // the offset must be asked for
	said   int64  // bytes that the registry had at the end of an earlier process; 0: not known
	shown  int64  // bytes counted in the progress
	wrong  int    // how often the registry refused the finished upload
}

// send brings one blob to the registry, unless it is there.
func (p *pusher) send(ctx context.Context, b blob) error {
	there, err := p.hasBlob(ctx, b)
	if err != nil {
		return err
	}
	if there {
		p.opts.Sessions.forget(p.client.Base(), b.digest)
		return nil
	}
	p.total.Add(b.size)
	p.fresh.Add(b.size)
	u := &upload{blob: b}
	if last := p.opts.Sessions.load(p.client.Base(), b.digest); last.Target != "" && last.Offset <= b.size {
		u.target, u.said, u.unsure = last.Target, last.Offset, true
	}
	best := int64(0)
	err = p.retry(ctx, "upload "+b.what, maxTries, func(ctx context.Context) (bool, error) {
		err := p.advance(ctx, u)
		further := u.offset > best
		best = max(best, u.offset)
		return further, err
	})
	if err == nil {
		p.opts.Sessions.forget(p.client.Base(), b.digest)
		p.open.closed(b.digest)
	}
	return err
}

func (p *pusher) hasBlob(ctx context.Context, b blob) (there bool, err error) {
	err = p.retry(ctx, "look for "+b.what, maxTries, func(ctx context.Context) (bool, error) {
		resp, err := p.do(ctx, "look for "+b.what,
			apiserver.Request{Method: http.MethodHead, Target: "/v2/" + Name + "/blobs/" + b.digest})
		if unseen(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		there = true
		return true, resp.Body.Close()
	})
	return there, err
}

// advance takes the upload to its end, or as far as it goes.
func (p *pusher) advance(ctx context.Context, u *upload) error {
	if u.target != "" && u.unsure {
		if err := p.ask(ctx, u); err != nil {
			return err
		}
	}
	if u.target == "" {
		if err := p.begin(ctx, u); err != nil {
			return err
		}
	}
	if u.offset < u.size {
		if err := p.sendRest(ctx, u); err != nil {
			return err
		}
	}
	return p.finish(ctx, u)
}

// ask finds out what the registry has (distribution-spec 1.1, "Pushing a blob in chunks"). A registry that
// answers no such question is taken at its last word. One that keeps no count, or lost the session, gets a
// new one.
func (p *pusher) ask(ctx context.Context, u *upload) error {
	resp, err := p.do(ctx, "continue the upload of "+u.what, apiserver.Request{Method: http.MethodGet, Target: u.target})
	if err != nil {
		answer, ok := errors.AsType[*apiserver.Error](err)
		switch {
		case !ok || answer.Temporary() || answer.Origin == apiserver.Cluster:
			return err
		case u.said > 0 && answer.Code != "BLOB_UPLOAD_UNKNOWN":
			p.at(u, u.said)
			u.said, u.unsure = 0, false
			return nil
		default:
			p.beginAnew(u)
			return nil
		}
	}
	defer resp.Body.Close()
	offset := received(resp.Header.Get("Range"))
	if offset == 0 || offset > u.size {
		p.beginAnew(u)
		return nil
	}
	if target, err := p.client.Locate(resp); err == nil {
		u.target = target
	}
	p.at(u, offset)
	u.unsure = false
	p.remember(u)
	return nil
}

// received reads the Range of a session: the last byte's index, inclusive. "0-0" may mean nothing or one byte
// (quirk U6), so it counts as nothing.
func received(header string) int64 {
	_, last, found := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !found || err != nil || n <= 0 {
		return 0
	}
	return n + 1
}

func (p *pusher) begin(ctx context.Context, u *upload) error {
	resp, err := p.do(ctx, "start the upload of "+u.what,
		apiserver.Request{Method: http.MethodPost, Target: "/v2/" + Name + "/blobs/uploads/"})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if u.target, err = p.client.Locate(resp); err != nil {
		return fmt.Errorf("start an upload: %w", err)
	}
	p.remember(u)
	return nil
}

// sendRest streams what is missing in one request. The first has no length and no range, as existing clients
// send it, which every registry takes (quirks U3, U4); when the context ends it is brought to a regular end,
// so that the registry keeps what it got. A continued one is a chunk with both.
func (p *pusher) sendRest(ctx context.Context, u *upload) error {
	content, err := u.from(u.offset)
	if err != nil {
		return err
	}
	defer content.Close()
	body := &meter{r: content, stop: ctx, add: func(n int64) { p.show(u, u.shown+n) }}
	request := apiserver.Request{
		Method: http.MethodPatch, Target: u.target, Body: body, Length: -1,
		Header: http.Header{"Content-Type": {"application/octet-stream"}},
	}
	if u.offset > 0 {
		request.Length = u.size - u.offset
		request.Header.Set("Content-Range", fmt.Sprintf("%d-%d", u.offset, u.size-1))
	}
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer p.whenStopped(ctx, cancel)()
	u.unsure = true
	resp, err := p.do(sendCtx, "upload "+u.what, request)
	sent := body.finish()
	if err != nil {
		if u.offset > 0 && isStatus(err, http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound, http.StatusBadRequest) {
			p.reset(u)
			return fmt.Errorf("the registry does not continue the upload, it begins anew: %w", errRestart)
		}
		return err
	}
	defer resp.Body.Close()
	target, err := p.client.Locate(resp)
	if err != nil {
		return fmt.Errorf("after the bytes: %w", err)
	}
	u.target, u.unsure = target, false
	p.at(u, u.offset+sent)
	p.remember(u)
	if u.offset < u.size {
		u.unsure = true
		return errors.Join(ctx.Err(), io.ErrUnexpectedEOF)
	}
	return nil
}

// whenStopped says, once the context ends, that a push waits for the registry, and cancels what it waits for
// after the grace. What it returns ends that, and waits for the end.
func (p *pusher) whenStopped(ctx context.Context, cancel context.CancelFunc) (end func()) {
	said := make(chan *time.Timer, 1)
	undo := context.AfterFunc(ctx, func() {
		p.stopping.Do(func() {
			how := "; press Ctrl-C again to stop at once"
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				how = "" // the first Ctrl-C would be this one
			}
			p.opts.Notify("stopping: waiting for the registry to confirm what was sent" + how)
		})
		grace := p.opts.StopGrace
		if !p.deadline.IsZero() {
			grace = min(grace, time.Until(p.deadline))
		}
		said <- time.AfterFunc(grace, cancel)
	})
	return func() {
		if !undo() {
			(<-said).Stop()
		}
	}
}

// maxWrong bounds how often a whole blob is sent again because the registry did not accept it.
const maxWrong = 3

// finish closes the session. What has another digest than announced is sent once more from the start.
func (p *pusher) finish(ctx context.Context, u *upload) error {
	separator := "?"
	if strings.Contains(u.target, "?") {
		separator = "&"
	}
	resp, err := p.do(ctx, "finish the upload of "+u.what, apiserver.Request{
		Method: http.MethodPut, Target: u.target + separator + "digest=" + url.QueryEscape(u.digest),
		Header: http.Header{"Content-Type": {"application/octet-stream"}},
	})
	if err == nil {
		return resp.Body.Close()
	}
	u.unsure = true
	if answer, ok := errors.AsType[*apiserver.Error](err); ok && !answer.Temporary() && answer.Origin == apiserver.Cluster {
		return err
	}
	// The answer may be lost although the blob is there.
	if there, lookErr := p.hasBlob(ctx, u.blob); lookErr == nil && there {
		return nil
	}
	if isStatus(err, http.StatusBadRequest, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable) {
		p.reset(u)
		if u.wrong++; u.wrong < maxWrong {
			return fmt.Errorf("%w: %w", errRestart, err)
		}
	}
	return err
}

// errRestart makes retry try once more with a new session.
var errRestart = errors.New("the upload begins anew")

func (p *pusher) reset(u *upload) {
	u.target, u.unsure = "", false
	p.opts.Sessions.forget(p.client.Base(), u.digest)
	p.open.closed(u.digest)
	p.at(u, 0)
}

// beginAnew says so: the developer may have been told that the upload continues.
func (p *pusher) beginAnew(u *upload) {
	p.reset(u)
	p.opts.Notify("upload " + u.what + ": the registry does not continue the upload, it begins anew")
}

func (p *pusher) at(u *upload, offset int64) {
	u.offset = offset
	p.show(u, offset)
}

func (p *pusher) show(u *upload, shown int64) {
	done := p.sent.Add(shown - u.shown)
	u.shown = shown
	p.opts.Progress(done, p.total.Load())
}

func (p *pusher) remember(u *upload) {
	if p.opts.Sessions.save(p.client.Base(), record{u.digest, u.target, u.offset}) {
		p.open.keep(u.digest, openUpload{u.size, u.offset})
	}
}
