// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// maxManifest is the size up to which every registry takes a manifest, in bytes (distribution-spec, "Pushing
// Manifests"). A larger one passes, but is not looked into.
const maxManifest = 4 << 20

const contentDigest = "Docker-Content-Digest"

// withDigest adds the digest of a manifest where the registry does not send one (quirk D2), and decompresses
// one that the registry has compressed unasked (quirk D3). For HEAD the manifest itself has to be fetched,
// because nothing else tells its digest.
func (x *exchange) withDigest(req *http.Request) (*http.Response, error) {
	resp, err := x.roundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	compressed := resp.Header.Get("Content-Encoding") != ""
	if resp.Header.Get(contentDigest) == "" && strings.Contains(x.route.Reference, ":") {
		resp.Header.Set(contentDigest, x.route.Reference)
	}
	known := resp.Header.Get(contentDigest)
	switch {
	case known != "" && !compressed:
		return resp, nil
	case req.Method == http.MethodHead:
		return x.headByGet(resp, req)
	}
	if err := plain(resp); err != nil {
		return nil, err
	}
	content, whole, err := beginning(resp.Body)
	switch {
	case err != nil:
		discard(resp)
		return nil, fmt.Errorf("read manifest: %w", err)
	case whole:
		discard(resp)
		if known == "" {
			resp.Header.Set(contentDigest, digestOf(content))
		}
		replace(resp, content)
		return resp, nil
	case known != "":
		stream(resp, io.MultiReader(bytes.NewReader(content), resp.Body))
		return resp, nil
	default:
		return x.twice(req, resp, content)
	}
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// twice fetches a manifest again that is too long for being held: the header with its digest goes ahead of
// it. Should the second be another one, it breaks off.
func (x *exchange) twice(req *http.Request, first *http.Response, content []byte) (*http.Response, error) {
	digest, _, err := measured(first, content)
	if err != nil {
		return nil, err
	}
	again, ok := upstream.RepeatBody(req)
	if !ok {
		return nil, errors.New("read manifest: its request cannot be made again")
	}
	resp, err := x.roundTrip(again)
	if err != nil || resp.StatusCode != http.StatusOK || digest == "" {
		return resp, err
	}
	if err := plain(resp); err != nil {
		return nil, err
	}
	resp.Header.Set(contentDigest, digest)
	changed := errors.New("read manifest: it has changed meanwhile")
	stream(resp, newVerified(newDigester(resp.Body, ""), digest, changed)) // without a length, so that the client sees it break off
	return resp, nil
}

// verified is a manifest that must have a digest. Its last byte is held back until all of it has been read, so
// that nobody receives another one whole.
type verified struct {
	buffered *bufio.Reader // of the digester
	digester *digester
	want     string
	other    error // for one with another digest
}

func newVerified(manifest *digester, want string, other error) *verified {
	return &verified{bufio.NewReader(manifest), manifest, want, other}
}

func (v *verified) Read(p []byte) (int, error) {
	_, err := v.buffered.Peek(2)
	switch {
	case err == nil:
		return v.buffered.Read(p[:min(len(p), v.buffered.Buffered()-1)])
	case !errors.Is(err, io.EOF):
		return 0, err
	}
	if sum := v.digester.sum.Load(); sum == nil || *sum != v.want {
		return 0, v.other
	}
	return v.buffered.Read(p)
}

// errContent is for a manifest that is pushed to where another one belongs.
func errContent(want string) error {
	return oci.Errorf(oci.DigestInvalid, "the manifest is not %s, which the tag is for", want)
}

func (x *exchange) headByGet(head *http.Response, req *http.Request) (*http.Response, error) {
	again, ok := upstream.RepeatBody(req)
	if !ok {
		return head, nil
	}
	discard(head)
	again.Method = http.MethodGet
	resp, err := x.roundTrip(again)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	if err := plain(resp); err != nil {
		return nil, err
	}
	digest, length, err := measured(resp, nil)
	if err != nil {
		return nil, err
	}
	resp.Body = http.NoBody
	if digest != "" {
		resp.ContentLength = length
		resp.Header.Set("Content-Length", strconv.FormatInt(length, 10))
		if resp.Header.Get(contentDigest) == "" {
			resp.Header.Set(contentDigest, digest)
		}
	}
	return resp, nil
}

// measured reads a manifest to its end, of which the beginning has been read, and returns its digest and
// length. A manifest that is too large has none.
func measured(resp *http.Response, begun []byte) (digest string, length int64, err error) {
	defer discard(resp)
	sum := newDigester(io.LimitReader(resp.Body, maxManifest+1), "")
	sum.hash.Write(begun)
	n, err := io.Copy(io.Discard, sum)
	if err != nil {
		return "", 0, fmt.Errorf("read manifest: %w", err)
	}
	length = int64(len(begun)) + n
	if length > maxManifest {
		return "", length, nil
	}
	digest, _ = sum.digest()
	return digest, length, nil
}

// digester computes the digest of a manifest on its way up, for registries that do not tell it (quirk D2).
type digester struct {
	source    io.Reader
	hash      hash.Hash
	reference string
	// sum is set once all has been read, which is before the registry can have all of it.
	sum atomic.Pointer[string]
}

func newDigester(source io.Reader, reference string) *digester {
	return &digester{source: source, hash: sha256.New(), reference: reference}
}

func (d *digester) Read(p []byte) (int, error) {
	n, err := d.source.Read(p)
	d.hash.Write(p[:n])
	if errors.Is(err, io.EOF) {
		sum := "sha256:" + hex.EncodeToString(d.hash.Sum(nil))
		d.sum.Store(&sum)
	}
	return n, err
}

// digest is false for a tag's manifest that a registry has accepted without reading it to its end.
func (d *digester) digest() (string, bool) {
	if strings.Contains(d.reference, ":") {
		return d.reference, true
	}
	sum := d.sum.Load()
	if sum == nil {
		return "", false
	}
	return *sum, true
}
