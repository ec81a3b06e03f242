// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// line lies between a client and a server. Requests arrive; some answers do not, and the connection ends
// instead.
type line struct {
	host string

	mu sync.Mutex
	// passed counts answers by what they answer, and lost those that did not arrive.
	passed, lost map[string]int
}

var errLost = errors.New("the answer is lost")

// newLine starts one to a server. Of the answers to each kind of request that it names, it loses those
// with these numbers.
func newLine(t *testing.T, server string, lose map[string][]int) *line {
	t.Helper()
	l := &line{passed: map[string]int{}, lost: map[string]int{}}
	transport := &http.Transport{DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", server
		},
		ModifyResponse: func(response *http.Response) error {
			kind := kindOf(response.Request)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.passed[kind]++
			if slices.Contains(lose[kind], l.passed[kind]) {
				l.lost[kind]++
				return errLost
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	web := httptest.NewServer(proxy)
	t.Cleanup(func() {
		web.Close()
		transport.CloseIdleConnections()
	})
	address, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	l.host = address.Host
	return l
}

// kindOf says what a request is about: its method, and whether it is an upload, a blob, a manifest or
// anything else.
func kindOf(r *http.Request) string {
	for part, kind := range map[string]string{
		"/blobs/uploads/": "upload", "/manifests/": "manifest", "/blobs/sha256:": "blob",
	} {
		if strings.Contains(r.URL.Path, part) {
			return r.Method + " " + kind
		}
	}
	return r.Method
}

// assertLost fails when one of these answers was not lost: then the test has shown nothing.
func (l *line) assertLost(t *testing.T, lose map[string][]int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, numbers := range lose {
		if l.lost[kind] != len(numbers) {
			t.Errorf("%d answers to %s were lost, not %d; passed %v", l.lost[kind], kind, len(numbers), l.passed)
		}
	}
}

// lossy returns the ways to push over a line: to the source proxy, and from "kubectl lsp registry" to the
// cluster.
func (p *place) lossy(t *testing.T, lose map[string][]int) map[*line]way {
	t.Helper()
	direct := newLine(t, p.server.Host, lose)
	api := newLine(t, strings.TrimPrefix(harness.NewAPIServer(t, p.server.Host).URL, "http://"), lose)
	return map[*line]way{
		direct: {"source proxy", direct.host + "/source"},
		api:    {"kubectl lsp registry", openRegistry(t, "http://"+api.host)},
	}
}

// TestLostAnswersCrane: crane streams each blob, and begins anew what it cannot tell the end of.
func TestLostAnswersCrane(t *testing.T) {
	t.Parallel()
	lose := map[string][]int{"POST upload": {1}, "PATCH upload": {2}, "PUT upload": {2}, "PUT manifest": {1}}
	for _, kind := range kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, kind)
			m := p.machine(t, nil)
			for l, w := range p.lossy(t, lose) {
				t.Run(w.name, func(t *testing.T) {
					image := harness.Image(t)
					dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image) })
					m.run(t, harness.Tool(t, "crane"), "push", dir, w.repository+":"+w.tag())
					p.upstream.AssertArrived(t, w.tag(), harness.Digest(t, image))
					l.assertLost(t, lose)
				})
			}
		})
	}
}

// TestLostAnswersRegctl: regctl pushes in chunks, and sends a chunk again whose answer it has not got, the
// first of an upload among them (quirk U11). It may fail through us only where it fails over the same line
// to the registry itself.
func TestLostAnswersRegctl(t *testing.T) {
	t.Parallel()
	lose := map[string][]int{"PATCH upload": {1, 3}, "PUT manifest": {1}}
	for _, kind := range kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, kind)
			straight := newLine(t, p.upstream.Host, lose)
			registry := way{"straight", straight.host + "/" + harness.Repository}
			_, refused := p.pushChunks(t, registry, p.upstream.Username, p.upstream.Password)
			if refused == nil {
				straight.assertLost(t, lose)
			}
			for l, w := range p.lossy(t, lose) {
				t.Run(w.name, func(t *testing.T) {
					digest, err := p.pushChunks(t, w, "", "")
					if err == nil {
						l.assertLost(t, lose)
						p.upstream.AssertArrived(t, w.tag(), digest)
						return
					}
					p.upstream.AssertAbsent(t, w.tag())
					if refused == nil {
						t.Error(err)
					}
					t.Logf("fails through us: %v; and straight: %v", err, refused)
				})
			}
		})
	}
}

// pushChunks has regctl push an image with one layer of several chunks, and returns its digest.
func (p *place) pushChunks(t *testing.T, w way, username, password string) (string, error) {
	t.Helper()
	image, err := random.Image(90_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := harness.Layout(t, func(path layout.Path) error {
		return path.AppendImage(image, harness.RefName("v1"))
	})
	m := p.machine(t, regctlConfig(t, w.host(), map[string]any{
		"tls": "disabled", "blobChunk": 20_000, "blobMax": 30_000, "user": username, "pass": password,
	}))
	_, _, err = m.try(t, harness.Tool(t, "regctl"), "image", "copy", "ocidir://"+dir+":v1",
		w.repository+":"+w.tag())
	return harness.Digest(t, image), err
}

func regctlConfig(t *testing.T, host string, settings map[string]any) map[string][]byte {
	t.Helper()
	content, err := json.Marshal(map[string]any{"hosts": map[string]any{host: settings}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"regctl.json": content}
}

// TestLostAnswersReading: crane and regctl get a customer's image over a line that loses answers.
func TestLostAnswersReading(t *testing.T) {
	t.Parallel()
	lose := map[string][]int{"GET manifest": {1}, "GET blob": {2}}
	for _, kind := range kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, kind)
			digest := pushImage(t, p.writing(t)[0], "v1")
			regctl := harness.Tool(t, "regctl")
			for name, pull := range map[string]func(t *testing.T, m *machine, from, to string){
				"regctl": func(t *testing.T, m *machine, from, to string) {
					m.run(t, regctl, "image", "copy", from, "ocidir://"+to+":v1")
				},
				"crane": func(t *testing.T, m *machine, from, to string) {
					m.run(t, harness.Tool(t, "crane"), "pull", "--insecure", "--format=oci", from, to)
				},
			} {
				t.Run(name, func(t *testing.T) {
					l := newLine(t, p.server.Images, lose)
					m := p.machine(t, regctlConfig(t, l.host, map[string]any{
						"tls": "disabled", "user": "LICENSE_ID", "pass": p.license,
					}))
					m.files["config.json"] = harness.DockerConfig(t, l.host, "LICENSE_ID", p.license)
					to := filepath.Join(t.TempDir(), "image")
					pull(t, m, strings.Replace(p.reading().repository, p.server.Images, l.host, 1)+":v1", to)
					l.assertLost(t, lose)
					path, err := layout.FromPath(to)
					if err != nil {
						t.Fatal(err)
					}
					hash, err := v1.NewHash(digest)
					if err != nil {
						t.Fatal(err)
					}
					image, err := path.Image(hash)
					if err == nil {
						err = validate.Image(image)
					}
					if err != nil {
						t.Errorf("what %s pulled: %v", name, err)
					}
				})
			}
		})
	}
}
