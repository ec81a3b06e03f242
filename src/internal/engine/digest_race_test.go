// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxytest"
)

// TestADigestOfHalfAManifest is none: a registry that says yes before it has read all is not told a digest on its behalf, and the
// race detector sees nobody hash and sum up at once.
func TestADigestOfHalfAManifest(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	reader, writer := io.Pipe()
	registry.When("PUT", "/manifests/").Do(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = r.Body.Read(make([]byte, 1))
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusCreated)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
	go func() { _, _ = writer.Write([]byte("{")) }()
	p.Do("PUT", manifests+"v1", proxytest.Stream(reader)).Is(201).Lacks("Docker-Content-Digest")
	_ = writer.Close()
}
