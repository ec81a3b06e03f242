// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTheExchangeOfOnePush is the one that was recorded from the existing client, step by step, on both
// sides.
func TestTheExchangeOfOnePush(t *testing.T) {
	const tag, manifestType = "my-space-my-app", "application/vnd.docker.distribution.manifest.v2+json"
	config, locks := []byte(`{"os":"linux"}`), []byte(`{"locations":[]}`)
	digests := []string{registrytest.Digest(config), registrytest.Digest(layer())}
	index := "sha256-" + registrytest.Digest(locks)[7:] + ".imgpkg"
	const repo = "/v2/team/code"
	started := func(id string) registrytest.Exchange {
		return registrytest.Exchange{Method: "POST", URI: repo + "/blobs/uploads/", Status: 202, Header: http.Header{"Location": {repo + "/blobs/uploads/" + id + "?_state=a"}, "Range": {"0-0"}}}
	}
	missing := registrytest.Exchange{Status: 404}
	at := func(e registrytest.Exchange, method, uri string) registrytest.Exchange {
		e.Method, e.URI = method, repo+uri
		return e
	}
	next := http.Header{"Location": {repo + "/blobs/uploads/2?_state=b"}}
	script := registrytest.NewScript(t,
		registrytest.Exchange{Method: "GET", URI: "/v2/", Status: 200},
		started("1"),
		at(registrytest.Exchange{Status: 204}, "DELETE", "/blobs/uploads/1?_state=a"),
		at(missing, "HEAD", "/manifests/"+tag),
		at(missing, "HEAD", "/blobs/"+digests[0]),
		at(missing, "HEAD", "/blobs/"+digests[1]),
		started("2"),
		at(registrytest.Exchange{Status: 202, Header: next}, "PATCH", "/blobs/uploads/2?_state=a"),
		at(registrytest.Exchange{Status: 201}, "PUT", "/blobs/uploads/2?_state=b&digest=sha256%3A"+digests[1][7:]),
		at(registrytest.Exchange{Status: 201, Header: http.Header{"Docker-Content-Digest": {registrytest.Digest(config)}}}, "PUT", "/manifests/"+tag),
		at(missing, "HEAD", "/manifests/"+index),
		at(registrytest.Exchange{Status: 200, Header: http.Header{"Content-Length": {"12000"}}}, "HEAD", "/blobs/"+digests[1]),
		at(registrytest.Exchange{Status: 201}, "PUT", "/manifests/"+index),
	)
	network := registrytest.NewNetwork(t)
	network.Serve(proxytest.Host, script)
	p := proxytest.New(t, network, proxytest.Config{})
	path := func(a *proxytest.Answer) *proxytest.Answer {
		return a.Has("Lsp-Registry-Path", "registry.example.com/team/code")
	}
	path(p.Do("GET", "/health").Is(200))
	path(p.Do("GET", "/v2/").Is(200))
	path(p.Do("HEAD", manifests+tag).Is(404))
	for _, digest := range digests {
		path(p.Do("HEAD", "/v2/source/blobs/"+digest).Is(404))
	}
	location := path(p.Do("POST", uploads).Is(202)).Location()
	location = path(p.Do("PATCH", location, proxytest.Stream(strings.NewReader(string(layer()))), proxytest.Header("Content-Type", "application/octet-stream")).Is(202)).Location()
	path(p.Finish(location, layer()).Is(201))
	put := []proxytest.Option{proxytest.Body(config), proxytest.Header("Content-Type", manifestType)}
	path(p.Do("PUT", manifests+tag, put...).Is(201)).Has("Docker-Content-Digest", registrytest.Digest(config))
	path(p.Do("HEAD", manifests+index).Is(404))
	path(p.Do("HEAD", "/v2/source/blobs/"+digests[1]).Is(200)).Has("Content-Length", "12000")
	path(p.Do("PUT", manifests+index, put...).Is(201))
}

// TestAClientThatDisappears in mid-upload ends the upload to the registry at once, and leaves nothing
// running.
func TestAClientThatDisappears(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	begun, ended := make(chan struct{}), make(chan error, 1)
	registry.When("PATCH", "").Do(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = r.Body.Read(make([]byte, 1))
		close(begun)
		_, err := io.Copy(io.Discard, r.Body)
		defer panic(http.ErrAbortHandler) // a server that never sees its client again does not answer
		ended <- err
	})
	ctx, leave := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, p.URL+p.Start(), reader)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		resp, err := p.Client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		answered <- err
	}()
	_, _ = writer.Write([]byte("the beginning"))
	<-begun
	leave()
	_ = writer.CloseWithError(io.ErrClosedPipe)
	if err := <-ended; err == nil {
		t.Error("the registry took the upload for complete")
	}
	if err := <-answered; err == nil {
		t.Error("the client was answered")
	}
}

// TestADownloadThatBreaksOff is seen as broken by the client too, not as a short blob.
func TestADownloadThatBreaksOff(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	registry.When("GET", "/blobs/").Do(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(layer())
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := p.Client.Get(p.URL + "/v2/source/blobs/" + registrytest.Digest(layer()))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("half a blob arrived as a whole one")
	}
}

// TestACredentialThatChangesDuringAnUpload: the next request shows the new one, and the upload goes on.
func TestACredentialThatChangesDuringAnUpload(t *testing.T) {
	password := "old"
	p, registry := proxytest.Simple(t, proxytest.Config{Keychain: keychain.Func(func(context.Context, string) (keychain.Credential, error) {
		return keychain.Credential{Username: proxytest.User, Password: password}, nil
	})})
	registry.GuardBy(registrytest.Basic(proxytest.User, "old"))
	location := p.Start()
	password = "new"
	registry.GuardBy(registrytest.Basic(proxytest.User, "new"))
	next := p.Do("PATCH", location, proxytest.Body(layer())).Is(202).Location()
	p.Finish(next, layer()).Is(201)
	registry.Holds(proxytest.Repository, layer())
}
