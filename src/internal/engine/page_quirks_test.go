// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const portal = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please log in</body></html>"

// quirk D12: a portal or block page answers 200 text/html to everything: it is no registry's answer to
// anything.
func TestQuirkD12APortalIsNoRegistry(t *testing.T) {
	digest := registrytest.Digest(layer())
	for kind, page := range map[string][]string{
		"text/html":                 {"Content-Type", "text/html"},
		"with a character set":      {"Content-Type", "Text/HTML; charset=utf-8"},
		"xhtml":                     {"Content-Type", "application/xhtml+xml"},
		"of a type that is guessed": {},
		"chunked":                   {"Content-Type", "text/html", "Transfer-Encoding", "chunked"},
		"with a cookie":             {"Content-Type", "text/html", "Set-Cookie", "session=1", "Location", "/login"},
	} {
		for name, do := range map[string]func(p *proxytest.Proxy) *proxytest.Answer{
			"blob":              func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("GET", "/v2/source/blobs/"+digest) },
			"blob, asked for":   func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("HEAD", "/v2/source/blobs/"+digest) },
			"manifest":          func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("GET", manifests+"v1") },
			"manifest, by HEAD": func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("HEAD", manifests+"v1") },
			"tags":              func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("GET", "/v2/source/tags/list") },
			"referrers":         func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("GET", "/v2/source/referrers/"+digest) },
			"start":             func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("POST", uploads) },
			"mount": func(p *proxytest.Proxy) *proxytest.Answer {
				return p.Do("POST", uploads+"?mount="+digest+"&from=source")
			},
			"manifest's PUT": func(p *proxytest.Proxy) *proxytest.Answer {
				return p.Do("PUT", manifests+"v1", proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType))
			},
			"deletion": func(p *proxytest.Proxy) *proxytest.Answer { return p.Do("DELETE", manifests+digest) },
		} {
			t.Run(kind+" for a "+name, func(t *testing.T) {
				p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true, AllowDelete: true})
				p.Do("HEAD", manifests+"v1").Is(404)
				behindAPortal(registry, page)
				refusesPage(t, do(p))
			})
		}
		for name, method := range map[string]string{"chunk": "PATCH", "end": "PUT", "status": "GET", "cancellation": "DELETE"} {
			t.Run(kind+" for an upload's "+name, func(t *testing.T) {
				p, registry := proxytest.Simple(t, proxytest.Config{})
				location := p.Start()
				behindAPortal(registry, page)
				switch method {
				case "PATCH":
					refusesPage(t, p.Do(method, location, proxytest.Body(layer())))
				case "PUT":
					refusesPage(t, p.Do(method, location+"?digest="+digest, proxytest.Body(layer())))
					refusesPage(t, p.Do(method, location+"?digest="+digest))
				default:
					refusesPage(t, p.Do(method, location))
				}
			})
		}
	}
}

func behindAPortal(registry *registrytest.Registry, page []string) {
	registry.When("", "").Do(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i < len(page); i += 2 {
			w.Header().Set(page[i], page[i+1])
		}
		if r.Method == http.MethodHead && len(page) == 0 {
			w.Header().Set("Content-Type", "text/html") // net/http guesses by what is written
		}
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, portal)
	})
}

func refusesPage(t *testing.T, answer *proxytest.Answer) {
	t.Helper()
	if answer.Status != http.StatusBadGateway || strings.Contains(string(answer.Body), "log in") {
		t.Errorf("a web page was answered %d %s", answer.Status, answer.Body)
	}
	answer.Lacks("Set-Cookie", "Location", "Docker-Content-Digest", "Docker-Upload-Uuid")
	if len(answer.Body) > 0 {
		answer.Fails(502, oci.Unavailable).Says("web page")
	}
}

// quirk D12: a portal that answers the greeting teaches nothing about the registry behind it.
func TestQuirkD12APortalIsNoGreeting(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
	registry.When("", "").Times(1).Answer(200, portal, "Content-Type", "text/html")
	p.Do("POST", uploads).Fails(502, oci.Unavailable).Says("web page")
	p.Do("POST", uploads).Is(202)
}

// quirk D12: a portal in front of the storage, or of the token server, is no answer either.
func TestQuirkD12APortalInFrontOfOthers(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	behind := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, portal)
	})
	p.Network.Serve("storage.example.net", behind)
	p.Network.Serve("auth.example.com", behind)
	registry.When("", "/blobs/sha256").Answer(307, "", "Location", "https://storage.example.net/x")
	for _, method := range []string{"GET", "HEAD"} {
		refusesPage(t, p.Do(method, "/v2/source/blobs/"+registrytest.Digest(layer())))
	}
	registry.GuardBy((&registrytest.Realm{URL: "https://auth.example.com/token"}).Guard)
	refusesPage(t, p.Do("GET", "/v2/source/tags/list"))
}

// quirk D12, the other side: Quay says text/html of answers that are its own, a blob may be a web page, and
// what a manifest says of itself is not looked at.
func TestQuirkD12WhatLooksLikeAPage(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true, AllowDelete: true})
	registry.When("", "").Edit(func(status int, header http.Header) int {
		if status < 300 {
			header.Set("Content-Type", "text/html; charset=utf-8")
		}
		return status
	})
	registry.When("GET", "/v2/").Times(1).Answer(200, "true", "Content-Type", "text/html; charset=utf-8")
	p.PushBlob([]byte(portal))
	digest := registrytest.Digest([]byte(portal))
	p.Do("HEAD", "/v2/source/blobs/"+digest).Is(200)
	p.Do("GET", "/v2/source/blobs/"+digest).Is(200).Says("Please log in")
	p.Do("DELETE", p.Start()).Is(204)
	p.Do("DELETE", "/v2/source/blobs/"+digest).Is(202)
	p.Do("PUT", manifests+"v1", proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType)).Is(201)
}
