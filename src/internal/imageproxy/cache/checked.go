// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

// errDamaged ends an answer whose content is not what was kept.
var errDamaged = errors.New("the blob was damaged in the cache's storage, and was removed from it; ask again")

// checked reads a kept blob, and its digest, if it is read from its beginning to its end. The last byte is held
// back until the digest is known to be right.
type checked struct {
	object Object
	blob   digest.Digest
	sum    hash.Hash
	// at is where the next byte comes from, and summed how many bytes the sum is of.
	at, summed int64
	// rest is what the registry sends when the storage fails midway.
	rest rest
	err  error
}

// Read implements [io.Reader].
func (c *checked) Read(p []byte) (n int, err error) {
	defer func() {
		if err != nil && !errors.Is(err, io.EOF) {
			c.err = err
		}
	}()
	ctx := c.rest.request.Context()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	size := c.object.Size()
	if held := size - 1; c.at < held {
		p = p[:min(int64(len(p)), held-c.at)]
	}
	if !c.rest.begun() {
		n, err = c.object.Read(p)
		if errors.Is(err, io.EOF) && c.at+int64(n) < size {
			err = io.ErrUnexpectedEOF
		}
	}
	if broke := err != nil && !errors.Is(err, io.EOF); c.rest.begun() || broke && n == 0 {
		if broke {
			c.rest.view.cache.failed("read from the cache's storage", err)
		}
		n, err = c.rest.readAt(p, c.at)
	} else if broke {
		err = nil // what was read first
	}
	if c.summed == c.at {
		c.sum.Write(p[:n])
		c.summed += int64(n)
	}
	c.at += int64(n)
	if n > 0 && c.summed == size && c.at == size {
		if err := c.verify(); err != nil {
			return 0, err
		}
		return n, nil
	}
	return n, err
}

// verify compares the digest. What has another one is removed.
func (c *checked) verify() error {
	cache, key := c.rest.view.cache, contentKey(c.blob.String())
	if digest.NewDigest(c.blob.Algorithm(), c.sum) != c.blob {
		cache.damaged(c.rest.request.Context(), key, "its digest is another one")
		return errDamaged
	}
	if !c.rest.begun() {
		cache.verified.add(key, c.object)
	}
	return nil
}

// Seek implements [io.Seeker]. From the beginning on, the digest is computed anew.
func (c *checked) Seek(offset int64, whence int) (int64, error) {
	at, err := c.object.Seek(offset, whence)
	if err != nil {
		return at, err
	}
	if c.at = at; at == 0 {
		c.sum.Reset()
		c.summed = 0
	}
	return at, nil
}

func (c *checked) close() error {
	_ = c.object.Close()
	c.rest.close()
	return c.err
}
