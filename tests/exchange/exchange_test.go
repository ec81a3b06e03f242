// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "registry")) }

// pathHeader tells clients where the content really is.
const pathHeader = "Lsp-Registry-Path"

// start starts a registry that demands tokens, and the server in front of it.
func start(t *testing.T, values map[string]any) (*harness.Registry, *harness.Server) {
	t.Helper()
	tokens := harness.NewTokens(t, 0)
	upstream := tokens.Guard(harness.Distribution{Program: harness.Tool(t, "registry"), Token: tokens.Config(t)}.Start(t))
	return upstream, harness.Start(t, harness.Options{Upstream: upstream, Values: values})
}

// recorder sends requests to one way in and checks what every answer must have.
type recorder struct {
	t    *testing.T
	base string
	want string
}

func (r recorder) send(method, address string, body []byte, header http.Header) harness.Answer {
	r.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = r.base + address
	}
	request := harness.Request{Method: method, URL: address, Header: header}
	switch {
	case method == http.MethodPatch:
		request.Body, request.Length = harness.Stream(body), -1
	case body != nil:
		request.Body = bytes.NewReader(body)
	}
	answer := harness.Call(r.t, request)
	if got := answer.Header.Get(pathHeader); got != r.want {
		r.t.Errorf("%s %s: %s is %q, want %q", method, address, pathHeader, got, r.want)
	}
	return answer
}

// follow resolves a Location as the client does, against the address it asked.
func (r recorder) follow(answer harness.Answer, asked string) string {
	r.t.Helper()
	if strings.HasPrefix(asked, "/") {
		asked = r.base + asked
	}
	location := answer.Location(r.t, asked)
	if strings.Contains(location, "%2F") || strings.Contains(strings.TrimPrefix(location, "http://"), "//") {
		r.t.Errorf("the Location %q would not survive the API server", location)
	}
	return location
}

// TestRecordedExchange sends the nine steps of one push as recorded, directly and through the API server's
// service proxy.
func TestRecordedExchange(t *testing.T) {
	t.Parallel()
	upstream, server := start(t, nil)
	api := harness.NewAPIServer(t, server.Host)
	ways := map[string]string{"direct": "http://" + server.Host, "service proxy": api.URL + harness.ProxyPath}
	for name, base := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recorder{t: t, base: base, want: upstream.Host + "/" + harness.Repository}
			replay(r, upstream, strings.ReplaceAll("team-a-"+name, " ", "-"))
		})
	}
}

func replay(r recorder, upstream *harness.Registry, tag string) {
	t := r.t
	t.Helper()
	config, layer := harness.BlobOf([]byte(`{"architecture":"`+tag+`"}`)), harness.NewBlob(300<<10)
	manifest := harness.Manifest(t, config, layer)

	assertHealthy(t, r.send(http.MethodGet, "/health", nil, nil))                               // 1
	r.send(http.MethodGet, "/v2/", nil, nil).Want(t, http.StatusOK)                             // 2
	r.send(http.MethodHead, "/v2/source/manifests/"+tag, nil, nil).Want(t, http.StatusNotFound) // 3
	for _, blob := range []harness.Blob{config, layer} {
		r.send(http.MethodHead, "/v2/source/blobs/"+blob.Digest, nil, nil).Want(t, http.StatusNotFound) // 4
		upload(r, blob)
		head := r.send(http.MethodHead, "/v2/source/blobs/"+blob.Digest, nil, nil).Want(t, http.StatusOK)
		if got := head.Header.Get("Docker-Content-Digest"); got != blob.Digest {
			t.Errorf("HEAD of a blob: digest %q", got)
		}
	}
	putManifest(r, manifest, tag) // 8
	head := r.send(http.MethodHead, "/v2/source/manifests/"+tag, nil, http.Header{"Accept": {harness.ManifestType}})
	if got := head.Want(t, http.StatusOK).Header.Get("Docker-Content-Digest"); got != manifest.Digest {
		t.Errorf("HEAD of the manifest: digest %q, want %q", got, manifest.Digest)
	}
	locations := "sha256-" + strings.TrimPrefix(manifest.Digest, "sha256:") + ".imgpkg" // 9
	r.send(http.MethodHead, "/v2/source/manifests/"+locations, nil, nil).Want(t, http.StatusNotFound)
	putManifest(r, manifest, locations)

	upstream.AssertBlob(t, config)
	upstream.AssertBlob(t, layer)
	if got := upstreamDigest(t, upstream, tag); got != manifest.Digest {
		t.Errorf("the upstream has %s, want %s", got, manifest.Digest)
	}
}

// upload is steps 5 to 7.
func upload(r recorder, blob harness.Blob) {
	t := r.t
	t.Helper()
	begin := "/v2/source/blobs/uploads/"
	posted := r.send(http.MethodPost, begin, nil, nil).Want(t, http.StatusAccepted) // 5
	first := r.follow(posted, begin)
	patched := r.send(http.MethodPatch, first, blob.Content, http.Header{"Content-Type": {"application/octet-stream"}}) // 6
	second := r.follow(patched.Want(t, http.StatusAccepted), first)
	put := r.send(http.MethodPut, harness.WithDigest(t, second, blob.Digest), nil, nil).Want(t, http.StatusCreated) // 7
	if got := r.follow(put, second); !strings.HasSuffix(got, "/v2/source/blobs/"+blob.Digest) {
		t.Errorf("the Location of the blob is %q", got)
	}
}

func putManifest(r recorder, manifest harness.Blob, tag string) {
	r.t.Helper()
	put := r.send(http.MethodPut, "/v2/source/manifests/"+tag, manifest.Content, http.Header{"Content-Type": {harness.ManifestType}})
	put.Want(r.t, http.StatusCreated)
	if got := put.Header.Get("Docker-Content-Digest"); got != manifest.Digest {
		r.t.Errorf("PUT of %s: digest %q, want %q", tag, got, manifest.Digest)
	}
}

// healthy is the statuscode when a push would succeed.
const healthy = "200"

// health is the body of /health: both are strings, and the message is escaped as in a URL's query.
type health struct{ StatusCode, Message string }

func readHealth(t *testing.T, answer harness.Answer) health {
	t.Helper()
	var body health
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		t.Fatalf("/health: %v: %s", err, answer.Body)
	}
	message, err := url.QueryUnescape(body.Message)
	if err != nil {
		t.Errorf("/health: the message is not escaped as in a query: %q", body.Message)
	}
	return health{body.StatusCode, message}
}

func assertHealthy(t *testing.T, answer harness.Answer) {
	t.Helper()
	if got := readHealth(t, answer.Want(t, http.StatusOK)); got.StatusCode != healthy {
		t.Errorf("/health says %+v", got)
	}
}
