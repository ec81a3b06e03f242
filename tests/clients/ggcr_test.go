// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// ggcrOptions speak to the server as a developer does: without a credential.
func ggcrOptions(t *testing.T) []remote.Option {
	t.Helper()
	return []remote.Option{remote.WithContext(t.Context())}
}

func ggcrImage(t *testing.T, host, tag string) string {
	t.Helper()
	img := harness.Image(t)
	if err := remote.Write(harness.Reference(t, host, "source", tag), img, ggcrOptions(t)...); err != nil {
		t.Fatal(err)
	}
	return harness.Digest(t, img)
}

func ggcrIndex(t *testing.T, host, tag string) string {
	t.Helper()
	index := harness.Index(t)
	if err := remote.WriteIndex(harness.Reference(t, host, "source", tag), index, ggcrOptions(t)...); err != nil {
		t.Fatal(err)
	}
	return harness.Digest(t, index)
}
