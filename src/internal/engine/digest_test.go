// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
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

// TestAnotherManifestIsNeverWhole, however it arrives; the right one is.
func TestAnotherManifestIsNeverWhole(t *testing.T) {
	errOther := errors.New("another one")
	manifest := []byte(strings.Repeat("{}", 5000))
	for name, arrives := range map[string]func(io.Reader) io.Reader{
		"at once":          func(r io.Reader) io.Reader { return r },
		"by the byte":      iotest.OneByteReader,
		"with its end":     iotest.DataErrReader,
		"in small packets": iotest.HalfReader,
	} {
		for _, n := range []int{0, 1, 2, 4095, 4096, 4097, len(manifest)} {
			content := manifest[:n]
			read := func(want string) ([]byte, error) {
				return io.ReadAll(newVerified(newDigester(arrives(bytes.NewReader(content)), "v1"), want, errOther))
			}
			if got, err := read(digestOf(content)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes of %d, error %v", name, len(got), n, err)
			}
			if got, err := read(digestOf([]byte("x"))); !errors.Is(err, errOther) || n > 0 && len(got) >= n {
				t.Errorf("%s: %d bytes of another manifest of %d, error %v", name, len(got), n, err)
			}
		}
	}
	broken := newVerified(newDigester(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(manifest))), "v1"), digestOf(manifest), errOther)
	if _, err := io.ReadAll(broken); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a body that breaks off: %v", err)
	}
}
