// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// maxManifest is the size up to which every registry takes a manifest, in bytes (distribution-spec, "Pushing
// Manifests"). A larger one passes, but is not looked into.
const maxManifest = 4 << 20

const contentDigest = "Docker-Content-Digest"

// withDigest adds the digest of a manifest where the registry does not send one (quirk D2). For HEAD the
// manifest itself has to be fetched, because nothing else tells its digest.
func (x *exchange) withDigest(req *http.Request) (*http.Response, error) {
	resp, err := x.target.Registry.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	compressed := resp.Header.Get("Content-Encoding") != ""
	if resp.Header.Get(contentDigest) == "" && strings.Contains(x.route.Reference, ":") {
		resp.Header.Set(contentDigest, x.route.Reference)
	}
	if resp.Header.Get(contentDigest) != "" && !compressed {
		return resp, nil
	}
	if req.Method == http.MethodHead {
		return x.headByGet(resp, req)
	}
	return resp, readManifest(resp)
}

func (x *exchange) headByGet(head *http.Response, req *http.Request) (*http.Response, error) {
	again, ok := upstream.RepeatBody(req)
	if !ok {
		return head, nil
	}
	discard(head)
	again.Method = http.MethodGet
	resp, err := x.target.Registry.RoundTrip(again)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	if err := readManifest(resp); err != nil {
		return nil, err
	}
	discard(resp)
	resp.Body = http.NoBody
	return resp, nil
}

// readManifest takes a manifest into memory, decompresses it where the registry has compressed it unasked
// (quirk D3), and adds its digest and length.
func readManifest(resp *http.Response) error {
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		discard(resp)
		return fmt.Errorf("read manifest: %w", err)
	}
	if len(content) > maxManifest {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(content), resp.Body), resp.Body}
		return nil
	}
	discard(resp)
	if content, err = decompressed(resp.Header, content, maxManifest); err != nil {
		return err
	}
	if resp.Header.Get(contentDigest) == "" {
		sum := sha256.Sum256(content)
		resp.Header.Set(contentDigest, "sha256:"+hex.EncodeToString(sum[:]))
	}
	replace(resp, content)
	return nil
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
