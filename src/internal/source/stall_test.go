// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
)

// TestAStalledClientGetsItsAnswer: the registry refuses an upload of which it has seen a part, and the client
// sends no more.
func TestAStalledClientGetsItsAnswer(t *testing.T) {
	for name, refuse := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"once it has begun": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = r.Body.Read(make([]byte, 4))
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		},
		"unread": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, registry := proxytest.Simple(t, proxytest.Config{})
			registry.When("PATCH", "").Do(refuse)
			location := p.Start()
			body, writer := io.Pipe()
			defer writer.Close()
			go func() { _, _ = io.WriteString(writer, "a part of the layer") }()
			p.Do(http.MethodPatch, location, proxytest.Stream(body)).Fails(http.StatusRequestEntityTooLarge, oci.BodyTooLarge)
		})
	}
}
