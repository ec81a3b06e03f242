// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"io"
	"strings"
	"testing"
)

// TestADigestOfHalfAManifest is none: a registry may say yes before it has read all.
func TestADigestOfHalfAManifest(t *testing.T) {
	d := newDigester(strings.NewReader("{}"), "v1")
	if _, err := d.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if digest, ok := d.digest(); ok {
		t.Errorf("half a manifest has digest %s", digest)
	}
	if _, err := io.Copy(io.Discard, d); err != nil {
		t.Fatal(err)
	}
	if digest, ok := d.digest(); !ok || digest != "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" {
		t.Errorf("the manifest {} has digest %s, %v", digest, ok)
	}
}
