// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	// abroad is how far away the API server is of the developer: there and back.
	abroad = 50 * time.Millisecond
	// minFaster is how many times as fast as one HTTP/2 stream "kubectl lsp push" is to be.
	minFaster = 10
	// http2 is how existing clients go through it.
	http2 = "one HTTP/2 stream"
	// namespacedPush is a push through the namespaced API, and namespacedFaster what is compared of it.
	namespacedPush   = "kubectl lsp push, namespaced API"
	namespacedFaster = "HTTP/2 / kubectl lsp, namespaced API"
)

// distance pushes source through a real API server that is far away: with "kubectl lsp push", a process that
// packs the tree in its time, and as existing clients do, over HTTP/2, an image that was packed before. The
// plugin goes both ways in: the namespaced API, which it finds by itself, and the service proxy.
func (b *Bench) distance(t testing.TB) {
	t.Helper()
	if err := b.Cluster.missing(); err != nil {
		b.leaveOut(t, fmt.Sprintf("the push through an API server %s away: %v", abroad, err))
		return
	}
	storage, _ := Storage(t, b.Plan)
	api := StartAPIServer(t, b.Cluster)
	site := StartSite(t, Place{Storage: storage, Prepare: api.Pod(t), Flags: []string{
		"--listen-address=" + b.Cluster.Address + ":0", "--api-address=" + b.Cluster.Address + ":0",
	}})
	api.Expose(t, site.Server)
	b.Report.Versions["Kubernetes"] = api.Version
	far := StartRelay(t, Line{RTT: abroad}, func() string { return api.Host })
	home := t.TempDir()
	harness.WriteJSON(t, filepath.Join(home, "kubeconfig"), map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "far",
		"contexts": []any{map[string]any{"name": "far", "context": map[string]any{"cluster": "far", "user": "developer", "namespace": developers}}},
		"clusters": []any{map[string]any{"name": "far", "cluster": map[string]any{"server": "https://" + far, "certificate-authority": api.CAFile}}},
		"users":    []any{map[string]any{"name": "developer", "user": map[string]any{"token": api.Token}}},
	})

	s := newSampler(fmt.Sprintf("source of %s through a kube-apiserver %s away", size(b.Far), abroad))
	plugin, namespaced, stream := &Way{Name: "kubectl lsp push"}, &Way{Name: namespacedPush}, &Way{Name: http2}
	row := func(way *Way) *Row { return s.row("time of "+way.Name, "ms") }
	ours, apis, theirs := row(plugin), row(namespaced), row(stream)
	pushes := uint64(0)
	b.turns(t, s.scenario, []*Way{plugin, namespaced, stream}, func(way *Way, counts bool) {
		pushes++
		content := noise(pushes, b.Far)
		tag := fmt.Sprintf("%s-%d", developers, pushes)
		repository := harness.Repository
		var digest string
		var elapsed time.Duration
		switch way {
		case plugin:
			digest, elapsed = b.pushWithPlugin(t, home, tag, content, "--via", "service")
		case namespaced:
			repository = repositoryOfNamespace
			digest, elapsed = b.pushWithPlugin(t, home, tag, content)
		default:
			digest, elapsed = pushOverHTTP2(t, api, far, tag, content)
		}
		site.Registry.AssertArrivedAt(t, repository, tag, digest)
		if counts {
			s.add("time of "+way.Name, "ms", Proxy, float64(elapsed.Microseconds())/1000)
		}
	})
	apis.Verdicts = []Verdict{
		beside("namespaced API / service proxy", apis, ours),
		beside(namespacedFaster, theirs, apis).atLeast(minFaster),
	}
	theirs.Verdicts = []Verdict{beside("HTTP/2 / kubectl lsp", theirs, ours).atLeast(minFaster)}
	b.keep(s)
}

// beside is the ratio of two rows, taken within each run.
func beside(what string, a, b *Row) Verdict {
	ratio := func(a, b float64) float64 { return a / b }
	return verdict(what, "", paired(a.Samples[Proxy], b.Samples[Proxy], ratio))
}

// pushWithPlugin pushes a tree of one file, as a process of its own.
func (b *Bench) pushWithPlugin(
	t testing.TB, home, tag string, content []byte, flags ...string,
) (digest string, elapsed time.Duration) {
	t.Helper()
	tree := t.TempDir()
	file := harness.WriteFile(t, filepath.Join(tree, "noise"), content)
	cmd := exec.CommandContext(t.Context(), b.Cluster.Plugin, append([]string{
		"push", "--quiet", "--local-path", tree, "--name", strings.TrimPrefix(tag, developers+"-"),
	}, flags...)...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "KUBECONFIG="+filepath.Join(home, "kubeconfig"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	out, err := cmd.Output()
	elapsed = time.Since(start)
	_, digest, found := strings.Cut(strings.TrimSpace(string(out)), "@")
	if err != nil || !found {
		t.Fatalf("kubectl lsp push: %v: %s%s", err, out, stderr.String())
	}
	check(t, os.Remove(file))
	return digest, elapsed
}

// pushOverHTTP2 pushes an image of one layer with client-go's choice of protocol, over a connection of its
// own.
func pushOverHTTP2(t testing.TB, api *APIServer, far, tag string, content []byte) (digest string, elapsed time.Duration) {
	t.Helper()
	certificate, err := os.ReadFile(api.CAFile)
	check(t, err)
	transport := &http.Transport{TLSClientConfig: trusting(t, certificate), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	image := pack(t, content)
	start := time.Now()
	check(t, remote.Write(harness.Reference(t, "localhost", "source", tag), image, remote.WithContext(t.Context()),
		remote.WithTransport(&serviceProxy{host: far, token: api.Token, inner: transport})))
	elapsed = time.Since(start)
	return harness.Digest(t, image), elapsed
}

// errProtocol says that the comparison would not be the one that is meant.
var errProtocol = errors.New("the API server does not answer over HTTP/2")

// serviceProxy sends what is meant for the proxy to the API server, and insists on HTTP/2.
type serviceProxy struct {
	host, token string
	inner       http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s *serviceProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = "https", s.host, ""
	if !strings.HasPrefix(r.URL.Path, harness.ProxyPath) { // a Location has it already
		r.URL.Path, r.URL.RawPath = harness.ProxyPath+r.URL.Path, ""
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	response, err := s.inner.RoundTrip(r)
	if err == nil && response.ProtoMajor != 2 {
		response.Body.Close()
		return nil, errProtocol
	}
	return response, err
}

// noise is content that does not compress.
func noise(seed uint64, bytes int64) []byte {
	content := make([]byte, bytes)
	var key [32]byte
	key[0] = byte(seed)
	// A ChaCha8 never fails.
	_, _ = rand.NewChaCha8(key).Read(content)
	return content
}
