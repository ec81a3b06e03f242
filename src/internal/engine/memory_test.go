// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// longTags is a list of tags that is longer than what is held.
func longTags(end string) string {
	return `{"name":"team/code","tags":["` + strings.Repeat(strings.Repeat("t", 125)+`","`, 2000) + end
}

// TestALongListOfTags arrives whole, and one that is none is never taken for one: it is cut off.
func TestALongListOfTags(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("GET", "/tags/list").Answer(200, longTags(`last"]}`))
	answer := p.Do("GET", "/v2/source/tags/list").Is(200).Lacks("Content-Length").Has("Content-Type", "application/json")
	var list struct {
		Name string
		Tags []string
	}
	if err := json.Unmarshal(answer.Body, &list); err != nil || list.Name != "source" || len(list.Tags) != 2001 || list.Tags[2000] != "last" {
		t.Errorf("%q with %d tags: %v", list.Name, len(list.Tags), err)
	}
	for _, end := range []string{`last`, `last"`, `last"]`, `last"]}}`, `last",1]}`, "\n\"]}"} {
		registry.When("GET", "/tags/list").Answer(200, longTags(end))
		resp, err := p.Client.Get(p.URL + "/v2/source/tags/list")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a list that ends in %q was answered %d, and ended with %v", end, resp.StatusCode, err)
		}
		_ = resp.Body.Close()
	}
}

// TestAListThatIsNone is 502 where it is short.
func TestAListThatIsNone(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	for _, list := range []string{``, `{"tags":["a"`, `{"tags":["a"]}]`, `{"tags":[1]}`, `[]`} {
		registry.When("GET", "/tags/list").Answer(200, list)
		p.Do("GET", "/v2/source/tags/list").Fails(502, oci.Unavailable)
	}
}

// packed is a content as a registry compresses it unasked.
func packed(content []byte) string {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(content)
	_ = zip.Close()
	return out.String()
}

// TestLongListsThatAreCompressed (quirk D3) are decompressed while they are read.
func TestLongListsThatAreCompressed(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("GET", "/tags/list").Answer(200, packed([]byte(longTags(`last"]}`))), "Content-Encoding", "gzip")
	want := len(longTags(`last"]}`)) - len("team/code") + len("source")
	if got := p.Do("GET", "/v2/source/tags/list").Is(200).Lacks("Content-Encoding", "Content-Length"); len(got.Body) != want {
		t.Errorf("%d bytes, want %d", len(got.Body), want)
	}
	referrers := []byte(longTags(`last"]}`))
	registry.When("GET", "/referrers/").Answer(200, packed(referrers), "Content-Encoding", "gzip", "Content-Type", "application/vnd.oci.image.index.v1+json")
	got := p.Do("GET", "/v2/source/referrers/"+registrytest.Digest(nil)).Is(200).Lacks("Content-Encoding", "Content-Length")
	if !bytes.Equal(got.Body, referrers) {
		t.Errorf("%d bytes of referrers", len(got.Body))
	}
}

// large is a manifest that is longer than what is held.
func large() []byte { return []byte(`{"schemaVersion":2,"x":"` + strings.Repeat("m", 1<<20) + `"}`) }

// quirk D2, of a manifest that is too large for being held: it is read twice.
func TestQuirkD2LargeManifests(t *testing.T) {
	for name, answer := range map[string]struct {
		body   string
		header []string
		asked  int
	}{
		"without a digest":             {string(large()), nil, 2},
		"compressed, without a digest": {packed(large()), []string{"Content-Encoding", "gzip"}, 2},
		"compressed":                   {packed(large()), []string{"Content-Encoding", "gzip", "Docker-Content-Digest", registrytest.Digest(large())}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			registry.When("", "/manifests/").Answer(200, answer.body, append(answer.header, "Content-Type", mediaType)...)
			got := p.Do("GET", manifests+"v1").Is(200).Has("Docker-Content-Digest", registrytest.Digest(large())).Lacks("Content-Encoding")
			if !bytes.Equal(got.Body, large()) {
				t.Errorf("got %d bytes", len(got.Body))
			}
			p.Network.Count(answer.asked, registrytest.Mentions("manifests"))
			p.Do("HEAD", manifests+"v1").Is(200).Has("Docker-Content-Digest", registrytest.Digest(large())).Has("Content-Length", fmt.Sprint(len(large())))
		})
	}
}

// quirk D2: a tag that moves between the two never has the digest of the one and the content of the other.
func TestQuirkD2ATagThatMoves(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	var asked atomic.Int64
	registry.When("GET", "/manifests/").Do(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		content := large()
		content[100] += byte(asked.Add(1))
		_, _ = w.Write(content)
	})
	resp, err := p.Client.Get(p.URL + manifests + "v1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("answered %d, and ended with %v", resp.StatusCode, err)
	}
}

// TestErrorsOfARegistryAreBounded: empty ones and small details take many times the memory of their text.
func TestErrorsOfARegistryAreBounded(t *testing.T) {
	for name, body := range map[string]string{
		"errors": `{"errors":[{}` + strings.Repeat(",{}", 40000) + `]}`,
		"detail": `{"errors":[{"code":"DENIED","detail":[[]` + strings.Repeat(",[]", 40000) + `]}]}`,
		"words":  strings.Repeat("a ", 60000),
	} {
		p, registry := proxytest.Simple(t, proxytest.Config{})
		registry.When("GET", "/manifests/").AnswerOnceRead(500, body, "Content-Type", map[bool]string{true: "application/json", false: "text/html"}[name != "words"])
		answer := p.Do("GET", manifests+"v1").Is(500)
		var got oci.ErrorBody
		if err := json.Unmarshal(answer.Body, &got); err != nil || len(got.Errors) == 0 || len(got.Errors) > 1000 || len(got.Errors[0].Detail) > 16<<10 {
			t.Errorf("%s: %d errors, %v", name, len(got.Errors), err)
		}
	}
}

// TestBeyondThePlacesRequestsAreRefused: with 503, in OCI JSON. What is not forwarded is answered all the same.
func TestBeyondThePlacesRequestsAreRefused(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{Transfers: 1})
	registry.PutManifest(proxytest.Repository, mediaType, manifest(), "v1")
	const sent = 4 // one has the place, and one waits
	arrived, hold := make(chan struct{}, sent), make(chan struct{})
	registry.When("GET", "/manifests/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		arrived <- struct{}{}
		<-hold
		next.ServeHTTP(w, r)
	})
	answers := make(chan *http.Response)
	ask := func() {
		resp, err := p.Client.Get(p.URL + manifests + "v1")
		if err != nil {
			t.Error(err)
			resp = &http.Response{Body: http.NoBody}
		}
		answers <- resp
	}
	for range sent {
		go ask()
	}
	<-arrived
	for range 2 {
		resp := <-answers
		var body oci.ErrorBody
		err := json.NewDecoder(resp.Body).Decode(&body)
		_ = resp.Body.Close()
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "5" || err != nil || body.Errors[0].Code != oci.Unavailable {
			t.Errorf("answered %d %v %v", resp.StatusCode, resp.Header, body)
		}
	}
	p.Do("GET", "/v2/").Is(200)
	p.Do("GET", "/health").Is(200).Says("accepts")
	p.Do("GET", "/v2/other/manifests/v1").Is(404)
	close(hold)
	for range sent - 2 {
		resp := <-answers
		_ = resp.Body.Close()
		if resp.StatusCode != 200 && resp.StatusCode != 503 { // on a slow machine their time may run out
			t.Errorf("answered %d", resp.StatusCode)
		}
	}
}
