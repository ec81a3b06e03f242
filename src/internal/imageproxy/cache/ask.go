// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// askLimit ends a request that several wait for.
	askLimit = 2 * time.Minute
	// patience is how long a request waits for the registry where it can be answered without.
	patience = 15 * time.Second
)

// Answer answers a request that reads a manifest or a list, or that looks for a blob, with what is kept, or with
// what the registry says. Those who ask for the same at the same time share one request. Its errors are those
// of [upstream.Registry.RoundTrip].
//
// What a digest stands for is believed for a day. Tags and lists are asked for anew each time.
func (v *View) Answer(req *http.Request, operation oci.Route) (*http.Response, error) {
	q, ok := v.question(req, operation)
	if !ok {
		if v.result != Bypass { // Open has said so
			v.note(q.kind, Bypass)
		}
		return v.registry.RoundTrip(req)
	}
	ctx := req.Context()
	last := v.lastOf(q)
	if last != nil && q.byDigest() && last.age() < v.certain() {
		if resp, ok := v.replay(q, last); ok {
			v.note(q.kind, Hit)
			return resp, nil
		}
	}
	resp, now, shared, err := v.look(q, last)
	if now != nil && now.status == http.StatusOK && now.header.Get(contentDigest) == last.digest() {
		v.keepTag(q, *last)
		v.note(q.kind, Hit)
		return resp, nil
	}
	if err == nil && (now == nil || now.status != http.StatusTooManyRequests) {
		now, shared, err = v.ask(q.request, q.shared, v.mayWait(q, last))
	}
	if last != nil && v.unable(ctx, now, err) {
		if resp, ok := v.stale(q, last, now, err); ok {
			return resp, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if now.large {
		v.note(q.kind, Bypass)
		return v.registry.RoundTrip(req)
	}
	switch {
	case now.status == http.StatusOK:
		v.learn(q, now, last)
	case now.status == http.StatusNotFound && last != nil:
		v.forgetAll(q)
	}
	if shared {
		v.note(q.kind, Shared)
	} else {
		v.note(q.kind, Miss)
	}
	return now.response(req), nil
}

// lastOf returns what was said last to a question; nil: nothing is known. For a tag that may be what another
// client was told, if this one accepts it: nodes and tools ask for the same in different words.
func (v *View) lastOf(q question) *answer {
	ctx := q.request.Context()
	last := v.cache.last(ctx, q.key, q.byDigest() && q.request.Method == http.MethodGet)
	if last != nil || q.anyKey == "" {
		return last
	}
	if other := v.cache.last(ctx, q.anyKey, false); other != nil && q.accepts(other) {
		return other
	}
	return nil
}

// keepTag keeps what a tag stands for: for who asks in the same words, and for others.
func (v *View) keepTag(q question, a answer) {
	v.cache.keep(q.request.Context(), q.key, a)
	if q.anyKey != "" {
		v.cache.keep(q.request.Context(), q.anyKey, a)
	}
}

// forgetAll forgets what the registry does not have any more.
func (v *View) forgetAll(q question) {
	ctx := q.request.Context()
	v.cache.forget(ctx, q.key)
	if q.anyKey == "" {
		return
	}
	// A client that would take what others were told has not been refused for what it accepts.
	if other := v.cache.last(ctx, q.anyKey, false); other != nil && q.accepts(other) {
		v.cache.forget(ctx, q.anyKey)
	}
}

// certain is for how long the registry is believed about a digest.
func (v *View) certain() time.Duration {
	if v.cache.cfg.Strict {
		return strictlyCertain
	}
	return certain
}

// replay answers with what was said before. It is false where that was without the body that is asked for.
func (v *View) replay(q question, last *answer) (*http.Response, bool) {
	if q.request.Method == http.MethodHead {
		return last.response(q.request, nil), true
	}
	switch {
	case q.kind != oci.Manifest:
		return last.response(q.request, last.Body), true
	case q.byDigest():
		return v.verifiedManifest(q, last, last)
	default:
		content := v.cache.last(q.request.Context(), v.answerKey(oci.Manifest, last.digest(), ""), true)
		return v.verifiedManifest(q, last, content)
	}
}

// verifiedManifest answers with the content of a manifest if that has the digest.
func (v *View) verifiedManifest(q question, last, content *answer) (*http.Response, bool) {
	if content == nil || len(content.Body) == 0 {
		return nil, false
	}
	want := digest.Digest(last.digest())
	if q.byDigest() {
		want = digest.Digest(q.reference)
	}
	if want.Validate() != nil {
		return nil, false
	}
	if want.Algorithm().FromBytes(content.Body) != want {
		v.cache.damaged(q.request.Context(), v.answerKey(oci.Manifest, want.String(), ""), "the manifest is not "+want.String())
		return nil, false
	}
	return last.response(q.request, content.Body), true
}

// look asks for the digest of a tag whose manifest is kept, and returns that manifest beside what the registry
// says. A look costs less than a pull, also of what a registry allows an account. It returns nothing where there is
// nothing to compare with.
func (v *View) look(q question, last *answer) (kept *http.Response, now *said, shared bool, err error) {
	if q.kind != oci.Manifest || q.byDigest() || q.request.Method != http.MethodGet || last.digest() == "" {
		return nil, nil, false, nil
	}
	kept, ok := v.replay(q, last)
	if !ok {
		return nil, nil, false, nil
	}
	head := q.request.Clone(q.request.Context())
	head.Method = http.MethodHead
	now, shared, err = v.ask(head, q.shared, v.mayWait(q, last))
	return kept, now, shared, err
}

// mayWait is how long a question waits for the registry.
func (v *View) mayWait(q question, last *answer) time.Duration {
	if last != nil && v.mayBeStale(last, v.due(q)) {
		return patience
	}
	return askLimit
}

// due is for how long the answer to a question is believed.
func (v *View) due(q question) time.Duration {
	if q.byDigest() {
		return v.certain()
	}
	return 0
}

// stale answers with what was said last, where the registry cannot be asked.
func (v *View) stale(q question, last *answer, now *said, err error) (*http.Response, bool) {
	if other := v.cache.stored(q.request.Context(), q.key); other != nil && other.At.After(last.At) {
		last = other // of another replica
	}
	if !v.mayBeStale(last, v.due(q)) {
		return nil, false
	}
	resp, ok := v.replay(q, last)
	if !ok {
		return nil, false
	}
	v.warning = staleWarning(last)
	v.note(q.kind, Stale)
	v.logStale(q.request.Context(), last, now, err)
	return resp, true
}

// mayBeStale reports whether an answer may be served that was due to be asked anew so long after it.
func (v *View) mayBeStale(last *answer, due time.Duration) bool {
	stale := v.cache.cfg.Stale
	return stale > 0 && last.age() <= due+stale
}

// logStale says why the registry could not be asked, and not each time.
func (v *View) logStale(ctx context.Context, last *answer, now *said, err error) {
	if !v.cache.quiet.may("stale " + v.name) {
		return
	}
	if err == nil {
		err = fmt.Errorf("it answered %d", now.status)
	}
	v.cache.cfg.Log.WarnContext(ctx, "a registry cannot be asked, and customers get what it said last",
		"registry", v.name, "error", err.Error(), "said", last.At.Format(time.RFC3339))
}

// unable reports whether a registry could not say what it has now: it does not answer, has too much to do, or
// refuses the vendor's credential as such.
func (v *View) unable(ctx context.Context, now *said, err error) bool {
	refusal, refused := errors.AsType[*upstream.Refusal](err)
	switch {
	case ctx.Err() != nil:
		return false
	case refused && refusal.Status == 0:
		return !v.cache.cfg.Strict
	case refused, err == nil && (now.status == http.StatusUnauthorized || now.status == http.StatusForbidden):
		return !v.cache.cfg.Strict && v.registry.RefusesCredential(ctx)
	case err != nil:
		return true
	default:
		return now.status == http.StatusTooManyRequests || now.status >= http.StatusInternalServerError
	}
}

// learn keeps what a registry has granted.
func (v *View) learn(q question, now *said, last *answer) {
	ctx := q.request.Context()
	a := answer{Header: keptHeader(now.header), Size: now.size, Body: now.body}
	if q.kind == oci.Manifest && q.byDigest() && last != nil && len(a.Body) == 0 {
		a.Body = last.Body // a look takes nothing away
	}
	if last != nil && bytes.Equal(last.Body, a.Body) && last.digest() == a.digest() {
		a.written = last.written
	}
	if now.header.Get("Content-Encoding") != "" {
		return // it is not what its digest is of
	}
	if q.kind != oci.Manifest || q.request.Method == http.MethodHead {
		v.keepTag(q, a)
		return
	}
	want := digest.Digest(a.digest())
	if q.byDigest() {
		want = digest.Digest(q.reference)
	} else if want == "" { // quirk D2
		want = digest.FromBytes(a.Body)
	}
	if want.Validate() != nil || want.Algorithm().FromBytes(a.Body) != want {
		return // the client finds out
	}
	a.Header.Set(contentDigest, want.String())
	if !q.byDigest() {
		tag := a
		tag.Body = nil
		v.keepTag(q, tag)
		a.written = time.Time{}
	}
	v.cache.keep(ctx, v.answerKey(oci.Manifest, want.String(), ""), a)
}
