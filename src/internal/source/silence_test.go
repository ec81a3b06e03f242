// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestARegistryThatStopsToAnswer is a 504 for whatever the client asked, soon, and the registry is asked
// once.
func TestARegistryThatStopsToAnswer(t *testing.T) {
	digest := registrytest.Digest([]byte("the layer"))
	silent := func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // net/http would answer 200
	}
	half := func(status int, header ...string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "1000")
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
	}
	const silence = 10 * time.Second // in which a loaded machine connects and greets
	for name, test := range map[string]struct {
		do      func(http.ResponseWriter, *http.Request, http.Handler)
		request func(p *proxytest.Proxy) *proxytest.Answer
	}{
		"start": {silent, func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("POST", "/v2/source/blobs/uploads/") }},
		"mount": {silent, func(p *proxytest.Proxy) *proxytest.Answer {
			return p.Do("POST", "/v2/source/blobs/uploads/?mount="+digest+"&from=source")
		}},
		"tags": {silent, func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("GET", "/v2/source/tags/list") }},
		"tags of which half comes": {half(200, "Content-Type", "application/json"), func(p *proxytest.Proxy) *proxytest.Answer {
			return p.Do("GET", "/v2/source/tags/list")
		}},
		"manifest": {silent, func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("GET", "/v2/source/manifests/v1") }},
		"manifest of which half comes": {half(200, "Content-Type", "application/json"), func(p *proxytest.Proxy) *proxytest.Answer {
			return p.Do("GET", "/v2/source/manifests/v1")
		}},
		"manifest's PUT": {silent, func(p *proxytest.Proxy) *proxytest.Answer {
			return p.Do("PUT", "/v2/source/manifests/v1", proxytest.Body([]byte("{}")))
		}},
		"an answer of which nobody knows what it is": {half(200), func(p *proxytest.Proxy) *proxytest.Answer {
			return p.Do("GET", "/v2/source/manifests/"+digest)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, registry := proxytest.Simple(t, proxytest.Config{SilenceLimit: silence})
			registry.When("", "/team/code/").Do(test.do)
			test.request(p).Fails(504, oci.UpstreamTimeout)
			p.Network.Count(1, registrytest.Mentions("team/code"))
		})
	}
}

// TestInformationalAnswersStayHere: ReverseProxy would pass them on with all that the registry puts into
// them.
func TestInformationalAnswersStayHere(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.PutManifest(proxytest.Repository, "application/json", []byte("{}"), "v1")
	registry.When("GET", "/manifests/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Link", "<https://registry.example.com/style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		next.ServeHTTP(w, r)
	})
	informed := 0
	traced := func(r *http.Request) {
		*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
			informed++
			return nil
		}}))
	}
	answer := p.Do("GET", "/v2/source/manifests/v1", traced).Is(200).Lacks("Link")
	answer.Has("Lsp-Registry-Path", proxytest.Host+"/"+proxytest.Repository)
	if informed > 0 {
		t.Errorf("the client got %d informational answers", informed)
	}
	registry.When("GET", "/manifests/").Do(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for range 100 {
			w.WriteHeader(http.StatusProcessing)
		}
	})
	p.Do("GET", "/v2/source/manifests/v1").Fails(502, oci.Unavailable)
}
