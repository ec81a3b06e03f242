// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
)

// blockSize is how much random content a blob repeats, with a number in front that differs each time, in bytes.
const blockSize = 256 << 10

// Blob is content that is generated while it is sent, so that no size needs memory or disk, and whose digest is known ahead, so
// that no hashing in the client is part of what is measured.
type Blob struct {
	Size   int64
	Digest string

	seed uint64
}

// NewBlob computes the digest of a blob of some bytes. Another seed makes another blob.
func NewBlob(size int64, seed uint64) (Blob, error) {
	blob := Blob{Size: size, seed: seed}
	hash := sha256.New()
	if _, err := io.Copy(hash, blob.Reader()); err != nil {
		return Blob{}, fmt.Errorf("compute the digest of a blob: %w", err)
	}
	blob.Digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return blob, nil
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
