// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
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

// question is a request to a registry whose answer may be kept.
type question struct {
	kind oci.Kind
	// reference is a tag or digest, or of a list, its query.
	reference string
	key       string
	// anyKey is of what a tag stands for, whoever asked; empty for all else.
	anyKey string
	// shared is the same for those who may be answered alike: a registry may refuse by what a client accepts.
	shared string
	// request has no header that would make the answer one client's own.
	request *http.Request
}

// byDigest reports whether the answer can only change from "it is there" to "it is not".
func (q question) byDigest() bool {
	return q.kind == oci.Blob || q.kind == oci.Manifest && oci.IsDigest(q.reference)
}

// question reads a request. It is false for one that goes to the registry itself.
func (v *View) question(req *http.Request, operation oci.Route) (question, bool) {
	q := question{kind: operation.Kind, reference: operation.Reference}
	switch {
	case q.kind == oci.Manifest, q.kind == oci.Blob && req.Method == http.MethodHead:
	case req.Method == http.MethodGet && (q.kind == oci.Tags || q.kind == oci.Referrers):
		q.reference += "?" + req.URL.RawQuery
	default:
		return q, false
	}
	sum := sha256.Sum256([]byte(strings.Join(accepted(req.Header), ",")))
	accept := hex.EncodeToString(sum[:])
	q.key = v.answerKey(q.kind, q.reference, "")
	if q.kind == oci.Manifest && !q.byDigest() { // some registries convert what a tag stands for
		q.key = v.answerKey(q.kind, q.reference, accept)
		q.anyKey = v.answerKey(q.kind, q.reference, "any")
	}
	q.shared = q.key + " " + accept
	q.request = req.Clone(req.Context())
	q.request.Header = http.Header{}
	if values := req.Header.Values("Accept"); len(values) > 0 {
		q.request.Header["Accept"] = values
	}
	return q, true
}

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
	now, shared, err := v.look(q, last)
	if now != nil && now.status == http.StatusOK && now.header.Get(contentDigest) == last.digest() {
		if resp, ok := v.replay(q, last); ok {
			v.keepTag(q, *last)
			v.note(q.kind, Hit)
			return resp, nil
		}
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

// accepts reports whether the client takes an answer of this media type (RFC 9110, section 12.5.1).
func (q question) accepts(a *answer) bool {
	all := accepted(q.request.Header)
	if len(all) == 0 {
		return true
	}
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")) // one that is none is accepted by "*/*" alone
	class, _, _ := strings.Cut(kind, "/")
	for _, each := range all {
		switch taken, _, _ := mime.ParseMediaType(each); taken {
		case "*/*", class + "/*", kind:
			return true
		}
	}
	return false
}

// accepted are the media types that a client accepts, in an order that does not depend on the client: some send
// theirs in another one each time.
func accepted(header http.Header) []string {
	var all []string
	for _, values := range header.Values("Accept") {
		for each := range strings.SplitSeq(values, ",") {
			if each = strings.TrimSpace(each); each != "" {
				all = append(all, each)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
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

// look asks for the digest of a tag whose manifest is kept. A look costs less than a pull, also of what a
// registry allows an account. It returns nothing where there is nothing to compare with.
func (v *View) look(q question, last *answer) (now *said, shared bool, err error) {
	if q.kind != oci.Manifest || q.byDigest() || q.request.Method != http.MethodGet || last.digest() == "" {
		return nil, false, nil
	}
	content := v.cache.last(q.request.Context(), v.answerKey(oci.Manifest, last.digest(), ""), true)
	if content == nil || len(content.Body) == 0 {
		return nil, false, nil
	}
	look := q.request.Clone(q.request.Context())
	look.Method = http.MethodHead
	return v.ask(look, q.shared, v.mayWait(q, last))
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

// said is what a registry answered to a request that several may wait for.
type said struct {
	status int
	header http.Header
	body   []byte
	// size of the body in bytes; -1: not known.
	size int64
	// large: the body is longer than what is held, and everybody has to ask for himself.
	large bool
}

// ask asks the registry, once for all who ask the same, and waits for so long. It reports whether this was
// another's request.
func (v *View) ask(req *http.Request, key string, limit time.Duration) (now *said, shared bool, err error) {
	var own atomic.Bool
	ctx, cancel := context.WithTimeout(req.Context(), limit)
	defer cancel()
	now, err = v.cache.asked.Do(ctx, req.Method+" "+key, askLimit, func(ctx context.Context) (*said, error) {
		own.Store(true)
		resp, err := v.registry.RoundTrip(req.WithContext(ctx)) //nolint:bodyclose // hear closes it
		if err != nil {
			return nil, err
		}
		return hear(req.Method, resp)
	})
	return now, !own.Load(), err
}

// hear reads an answer to its end.
func hear(method string, resp *http.Response) (*said, error) {
	defer func() { _ = resp.Body.Close() }()
	now := &said{status: resp.StatusCode, header: resp.Header, size: resp.ContentLength}
	if method == http.MethodHead {
		return now, nil
	}
	var err error
	if now.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1)); err != nil {
		return nil, fmt.Errorf("read the registry's answer: %w", err)
	}
	now.size, now.large = int64(len(now.body)), len(now.body) > maxBody
	if now.large {
		now.body = nil
	}
	return now, nil
}

func (s *said) response(req *http.Request) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d %s", s.status, http.StatusText(s.status)), StatusCode: s.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: s.header.Clone(), Request: req,
		ContentLength: s.size, Body: io.NopCloser(bytes.NewReader(s.body)),
	}
}
