// SPDX-License-Identifier: Apache-2.0

package sessions_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "registry")) }

// TestTwoReplicas begins an upload at one process, sends the content to another, kills the first, and ends
// the upload at the second (quirk U9).
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	upstream := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	keys := harness.KeyFile(t, harness.NewKey())
	first := harness.Start(t, harness.Options{Upstream: upstream, Flags: []string{keys}})
	second := harness.Start(t, harness.Options{Upstream: upstream, Flags: []string{keys}})
	blob := harness.NewBlob(200 << 10)

	location := at(first.StartUpload(t), first, second)
	patched := harness.Call(t, harness.Request{Method: http.MethodPatch, URL: location, Body: harness.Stream(blob.Content)})
	location = patched.Want(t, http.StatusAccepted).Location(t, location)
	first.Kill(t)
	harness.Call(t, harness.Request{Method: http.MethodPut, URL: harness.WithDigest(t, location, blob.Digest)}).Want(t, http.StatusCreated)
	upstream.AssertBlob(t, blob)
}

// TestRestart continues an upload with a process that was not running when it began.
func TestRestart(t *testing.T) {
	t.Parallel()
	upstream := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	keys := harness.KeyFile(t, harness.NewKey())
	before := harness.Start(t, harness.Options{Upstream: upstream, Flags: []string{keys}})
	location := before.StartUpload(t)
	before.Kill(t)
	after := harness.Start(t, harness.Options{Upstream: upstream, Flags: []string{keys}})
	blob := harness.NewBlob(20 << 10)
	put := harness.WithDigest(t, at(location, before, after), blob.Digest)
	harness.Call(t, harness.Request{Method: http.MethodPut, URL: put, Body: harness.Stream(blob.Content)}).Want(t, http.StatusCreated)
	upstream.AssertBlob(t, blob)
}

// TestKeysRotate: the first key of a file seals, every listed one opens.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	upstream := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	older, newer := harness.NewKey(), harness.NewKey()
	start := func(keys ...string) *harness.Server {
		return harness.Start(t, harness.Options{Upstream: upstream, Flags: []string{harness.KeyFile(t, keys...)}})
	}
	old, both, new := start(older), start(newer, older), start(newer)
	status := func(location string, from, to *harness.Server) harness.Answer {
		return harness.Call(t, harness.Request{Method: http.MethodGet, URL: at(location, from, to)})
	}
	status(old.StartUpload(t), old, both).Want(t, http.StatusNoContent)
	status(both.StartUpload(t), both, new).Want(t, http.StatusNoContent)
	status(both.StartUpload(t), both, old).WantError(t, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN")
}

// at is an address at one server, asked from another.
func at(address string, from, to *harness.Server) string {
	return strings.Replace(address, from.Host, to.Host, 1)
}
