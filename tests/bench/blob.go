// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
)

// blockSize is how much random content a blob repeats, with a number in front that differs each time, in
// bytes.
const blockSize = 256 << 10

// Blob is content that is generated while it is sent, so that no size needs memory or disk, and whose digest
// is known ahead, so that no hashing in the client is part of what is measured.
type Blob struct {
	Size   int64
	Digest string

	seed uint64
}

// NewBlob computes the digest of a blob of some bytes. Another seed makes another blob.
func NewBlob(size int64, seed uint64) (Blob, error) {
	blob := Blob{Size: size, seed: seed}
	var err error
	blob.Digest, err = digestOf(blob.Reader())
	return blob, err
}

func digestOf(content io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", fmt.Errorf("compute the digest of a blob: %w", err)
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

// Reader reads the blob from its start.
func (b Blob) Reader() io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], b.seed)
	block := make([]byte, blockSize)
	// A ChaCha8 never fails.
	_, _ = rand.NewChaCha8(key).Read(block)
	return &blobReader{block: block, rest: b.Size}
}

// errArrived says that a blob is not what was sent.
var errArrived = errors.New("another blob was sent")

// Verify reads a copy of the blob as every client does that pulls one: it computes the digest.
func (b Blob) Verify(content io.Reader) error {
	got, err := digestOf(content)
	if err == nil && got != b.Digest {
		err = fmt.Errorf("%s in place of %s: %w", got, b.Digest, errArrived)
	}
	return err
}

// ThrowAway reads a copy of the blob and looks at nothing but its size.
func (b Blob) ThrowAway(content io.Reader) error {
	// Not io.Discard itself, which would read in smaller pieces than what computes a digest.
	n, err := io.Copy(struct{ io.Writer }{io.Discard}, content)
	if err == nil && n != b.Size {
		err = fmt.Errorf("%d bytes in place of %d: %w", n, b.Size, errArrived)
	}
	return err
}

type blobReader struct {
	block  []byte
	number uint64
	at     int
	rest   int64
}

func (r *blobReader) Read(p []byte) (int, error) {
	if r.rest == 0 {
		return 0, io.EOF
	}
	if r.at == 0 {
		binary.LittleEndian.PutUint64(r.block, r.number)
		r.number++
	}
	n := copy(p[:min(int64(len(p)), r.rest)], r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	r.rest -= int64(n)
	return n, nil
}
