// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// certain is for how long a registry is believed about what a digest stands for in a repository.
	certain = 24 * time.Hour
	// strictlyCertain is the same where the vendor's credential has to be good.
	strictlyCertain = time.Minute
	// maxBody is the size up to which the body of an answer is kept, in bytes (distribution-spec, "Pushing
	// Manifests").
	maxBody = 4 << 20
	// maxAnswer bounds an answer in the storage, where its body is base64.
	maxAnswer = 2 * maxBody
	// renewal is how often the time of an answer that did not change is written.
	renewal = time.Minute
	// keepLimit is how long a request waits until an answer is read from the storage, or kept there.
	keepLimit = 5 * time.Second
	// skew is how far the clocks of two replicas may be apart.
	skew = time.Minute
)

const contentDigest = "Docker-Content-Digest"

// answer is what a registry said to a request that it granted.
type answer struct {
	// At is when it said so, or said that nothing has changed.
	At     time.Time   `json:"at"`
	Header http.Header `json:"header"`
	// Size of the body in bytes; -1: not known.
	Size int64 `json:"size"`
	// Body is empty for what only has been looked for.
	Body []byte `json:"body,omitempty"`

	written time.Time // in the storage
}

// digest is that of the content; empty where the registry did not say.
func (a *answer) digest() string {
	if a == nil {
		return ""
	}
	return a.Header.Get(contentDigest)
}

// age is how long ago the registry said it. What is dated in the future comes of a clock that was set back, and
// is due to be asked anew.
func (a *answer) age() time.Duration {
	age := time.Since(a.At)
	if age < -skew {
		return certain
	}
	return max(0, age)
}

// response makes an answer of it.
func (a *answer) response(req *http.Request, body []byte) *http.Response {
	resp := &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.Header.Clone(), Request: req, ContentLength: a.Size, Body: http.NoBody,
	}
	if req.Method != http.MethodHead {
		resp.ContentLength, resp.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	}
	if resp.ContentLength >= 0 {
		resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	return resp
}

// kept are the headers of an answer that are kept.
func keptHeader(from http.Header) http.Header {
	header := http.Header{}
	for _, name := range []string{
		"Content-Type", contentDigest, "Docker-Distribution-Api-Version", "Etag", "Last-Modified", "Link", "Oci-Filters-Applied",
	} {
		if values := from.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	return header
}

// last returns what the registry said last under a key; nil: nothing is known. With the body, if that is asked
// for and kept.
func (c *Cache) last(ctx context.Context, key string, body bool) *answer {
	c.mu.Lock()
	recent, ok := c.recent.Get(key)
	c.mu.Unlock()
	if !ok || body && len(recent.Body) == 0 {
		return cmp.Or(c.stored(ctx, key), recent)
	}
	return recent
}

// stored returns what the storage has under a key, which may be newer than what this process knows: replicas may
// share a storage.
func (c *Cache) stored(ctx context.Context, key string) *answer {
	content, err := c.read(ctx, key)
	if err != nil {
		return nil
	}
	read := new(answer)
	if err := json.Unmarshal(content, read); err != nil || read.Header == nil {
		c.damaged(ctx, key, "what a registry said cannot be read")
		return nil
	}
	read.written = read.At
	c.remember(key, read)
	return read
}

// read reads an answer of the storage.
func (c *Cache) read(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keepLimit)
	defer cancel()
	object, err := c.storage.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }()
	return io.ReadAll(io.LimitReader(object, maxAnswer))
}

// remember holds an answer in memory, unless it has a body: that stays in the storage.
func (c *Cache) remember(key string, a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(a.Body) > 0 {
		c.recent.Remove(key)
		return
	}
	c.recent.Add(key, a)
}

// keep keeps an answer. It is of use without the storage, too, while this process runs.
func (c *Cache) keep(ctx context.Context, key string, a answer) {
	a.At = time.Now().UTC()
	defer func() { c.remember(key, &a) }()
	if since := time.Since(a.written); since >= 0 && since < renewal {
		return
	}
	content, err := json.Marshal(a)
	if err != nil {
		return // headers and bytes always can be
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepLimit)
	defer cancel()
	if err := c.storage.Put(ctx, key, io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content)))); err == nil {
		a.written = a.At
	}
}

// forget is for what the registry does not have, or does not grant, any more.
func (c *Cache) forget(ctx context.Context, key string) {
	c.mu.Lock()
	c.recent.Remove(key)
	c.mu.Unlock()
	c.storage.Remove(context.WithoutCancel(ctx), key)
}

// damaged removes what is not what it should be, and says so.
func (c *Cache) damaged(ctx context.Context, key, problem string) {
	c.cfg.Observer.CacheFailed()
	c.cfg.Log.Warn("a damaged object was removed from the cache", "object", key, "problem", problem)
	c.storage.Remove(context.WithoutCancel(ctx), key)
}

// staleWarning is what clients show (distribution-spec, "Warnings").
func staleWarning(a *answer) string {
	return fmt.Sprintf(`299 - "the vendor's registry cannot be asked now; this is what it said at %s"`,
		a.At.UTC().Format(time.RFC3339))
}
