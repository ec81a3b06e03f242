// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"testing/iotest"
)

func TestBlob(t *testing.T) {
	seen := map[string]bool{}
	for _, size := range []int64{0, 1, blockSize - 1, blockSize, 2*blockSize + 7} {
		blob, err := NewBlob(size, 1)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(blob.Reader(), size+1)))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if got := "sha256:" + hex.EncodeToString(sum[:]); int64(len(content)) != size || got != blob.Digest {
			t.Errorf("a blob of %d bytes reads as %d bytes with %s, want %s", size, len(content), got, blob.Digest)
		}
		if seen[blob.Digest] {
			t.Errorf("the digest of %d bytes was seen before", size)
		}
		seen[blob.Digest] = true
	}
	one, err := NewBlob(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewBlob(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	if one.Digest == two.Digest {
		t.Error("two seeds make the same blob")
	}
}
