// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// manifestDigest is that of the manifest that an imageProxy has.
const manifestDigest = "sha256:bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f"

// imageProxy is one that answers by the path of a manifest.
type imageProxy struct {
	host string
	mu   sync.Mutex
	has  map[string]string // path of the repository and tag to an answer: a body, or "status code message"
	// asked are the paths.
	asked []string
}

func newProxy(t *testing.T, has map[string]string) *imageProxy {
	t.Helper()
	p := &imageProxy{has: has}
	p.host = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, id, ok := r.BasicAuth(); !ok || id != "the-license-id" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"this license is not known"}]}`)
			return
		}
		image := strings.NewReplacer("/v2/proxy/my-kots-app/", "", "/manifests/", ":").Replace(r.URL.Path)
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.URL.Path != "/v2/" && !slices.Contains(p.asked, image) {
			p.asked = append(p.asked, image)
		}
		switch answer := p.has[image]; answer {
		case "":
			if r.URL.Path != "/v2/" {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"no such\n\u001b[31mregistry"}]}`)
			}
		case "manifest":
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = io.WriteString(w, `{"schemaVersion":2}`)
		case "denied":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"the license expired"}]}`)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	return p
}

// try loads the base, lets the registries have said what answers say, and asks the proxy.
func (s *site) try(answers map[string]rewrite.Verdict, trial rewrite.Trial) error {
	s.Helper()
	base, err := rewrite.LoadBase(s.Context(), &rewrite.Stage{}, filepath.Join(s.root, "base"))
	if err != nil {
		s.Fatal(err)
	}
	s.plan.Base, s.plan.Answers = base, map[string]rewrite.Answer{}
	for _, image := range s.plan.Open() {
		verdict := answers[image]
		if verdict == "" {
			verdict = rewrite.Private
		}
		s.plan.Answers[image] = rewrite.Answer{Verdict: verdict, Reason: "x"}
	}
	return s.plan.Try(s.Context(), trial)
}

func (s *site) newNames() map[string]string {
	names := map[string]string{}
	for _, finding := range s.plan.Findings() {
		names[finding.Image] = finding.NewName
	}
	return names
}

// TestTry: what fails is named, with the reason in the proxy's words; the rest is asked all the same.
func TestTry(t *testing.T) {
	p := newProxy(t, map[string]string{
		"quay.io/o/a:1": "manifest", "quay.io/o/b:" + manifestDigest: "manifest", "quay.io/o/d:1": "denied", "quay.io/o/e:1": "broken",
		"quay.io/already/there:1": "manifest",
	})
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "quay.io/o/a:1", "quay.io/o/b@"+manifestDigest, "quay.io/o/c:1", "quay.io/o/d:1", "quay.io/o/e:1",
		"busybox:1", p.host+"/proxy/my-kots-app/quay.io/already/there:1", "registry.example.com/x:1", "localhost:5000/z")})
	s.plan.Proxy.Domain = p.host
	err := s.try(map[string]rewrite.Verdict{"busybox:1": rewrite.Public}, rewrite.Trial{Timeout: patience})
	at := p.host + "/proxy/my-kots-app/"
	want := "4 of the application's 7 images cannot be pulled from the image proxy; nothing was written\n" +
		"localhost:5000/z as " + at + "localhost:5000/z: not a valid image name; a registry with a port needs an alias on the proxy, and --alias\n" +
		"quay.io/o/c:1 as " + at + "quay.io/o/c:1: NAME_UNKNOWN: no such [31mregistry (404)\n" +
		"quay.io/o/d:1 as " + at + "quay.io/o/d:1: DENIED: the license expired (403)\n" +
		"quay.io/o/e:1 as " + at + "quay.io/o/e:1: it answers 502 Bad Gateway"
	lacking, ok := errors.AsType[*rewrite.Lacking](err)
	if !ok {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff(want, lacking.Error()+"\n"+strings.Join(lacking.Images, "\n")); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	slices.Sort(p.asked)
	if diff := cmp.Diff([]string{"quay.io/already/there:1", "quay.io/o/a:1", "quay.io/o/b:" + manifestDigest, "quay.io/o/c:1", "quay.io/o/d:1", "quay.io/o/e:1"}, p.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestTryOfUsersEntries: what the user's kustomization renames elsewhere is not the proxy's, and a tag of its
// own is the one that will be pulled.
func TestTryOfUsersEntries(t *testing.T) {
	p := newProxy(t, map[string]string{"quay.io/o/a:pinned": "manifest", "quay.io/o/b:" + manifestDigest: "manifest"})
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "quay.io/o/a:1", "quay.io/o/b:1", "quay.io/o/c:1")})
	s.plan.Proxy.Domain = p.host
	s.write("overlays/midstream/kustomization.yaml", "images:\n- {name: quay.io/o/a, newTag: pinned}\n- {name: quay.io/o/b, digest: '"+manifestDigest+"'}\n"+
		"- {name: quay.io/o/c, newName: mirror.example.com/c}\n")
	if err := s.try(nil, rewrite.Trial{Timeout: patience}); err != nil {
		t.Error(err)
	}
	slices.Sort(p.asked)
	if diff := cmp.Diff([]string{"quay.io/o/a:pinned", "quay.io/o/b:" + manifestDigest}, p.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestTryKeepsWhatNobodyKnows: a registry that is slow for once does not send a public image to a proxy that
// has no such registry. What wants credentials, or is not found anywhere, fails.
func TestTryKeepsWhatNobodyKnows(t *testing.T) {
	p := newProxy(t, map[string]string{"quay.io/o/a:1": "manifest"})
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "quay.io/o/a:1", "slow.example.com/b:1")})
	s.plan.Proxy.Domain = p.host
	if err := s.try(map[string]rewrite.Verdict{"quay.io/o/a:1": rewrite.Unreachable, "slow.example.com/b:1": rewrite.Unreachable}, rewrite.Trial{Timeout: patience}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"quay.io/o/a:1": p.host + "/proxy/my-kots-app/quay.io/o/a", "slow.example.com/b:1": ""}
	if diff := cmp.Diff(want, s.newNames()); diff != "" {
		t.Errorf("new names (-want +got):\n%s", diff)
	}
	if all := strings.Join(s.plan.Warnings(), "\n"); !strings.Contains(all, "nobody knows whether there is slow.example.com/b:1: ") || strings.Contains(all, "quay.io") {
		t.Errorf("warnings:\n%s", all)
	}
	for _, verdict := range []rewrite.Verdict{rewrite.Private, rewrite.Missing, rewrite.Assumed} {
		if err := s.try(map[string]rewrite.Verdict{"slow.example.com/b:1": verdict}, rewrite.Trial{Timeout: patience}); err == nil || !strings.Contains(err.Error(), "1 of the application's 2 images") {
			t.Errorf("%s: %v", verdict, err)
		}
	}
}

// TestTryOnce: where nothing can succeed, one question is enough.
func TestTryOnce(t *testing.T) {
	base := map[string]string{"pods.yaml": pod("p", "quay.io/o/a:1", "quay.io/o/b:1")}
	t.Run("a license that is not known", func(t *testing.T) {
		p, s := newProxy(t, nil), newSite(t, base)
		s.plan.Proxy.Domain, s.plan.LicenseID = p.host, "another-id"
		err := s.try(nil, rewrite.Trial{Timeout: patience})
		if err == nil || err.Error() != "ask the image proxy "+p.host+" with the license: UNAUTHORIZED: this license is not known (401)" || strings.Contains(err.Error(), "another-id") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no proxy", func(t *testing.T) {
		s := newSite(t, base)
		s.plan.Proxy.Domain = serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
		if err := s.try(nil, rewrite.Trial{Timeout: patience}); err == nil || !strings.Contains(err.Error(), "with the license: the answer is no manifest but text/") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("nothing to ask for", func(t *testing.T) {
		s := newSite(t, base)
		if err := s.try(map[string]rewrite.Verdict{"quay.io/o/a:1": rewrite.Public, "quay.io/o/b:1": rewrite.Public}, rewrite.Trial{}); err != nil {
			t.Error(err)
		}
	})
}

// TestTryOneHost: the license goes to the proxy, and nowhere that it points to.
func TestTryOneHost(t *testing.T) {
	thief := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s reached another host", r.URL.Path) }))
	for name, handler := range map[string]http.HandlerFunc{
		"a token server": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+strings.Replace(thief, "127.0.0.1", "localhost", 1)+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				http.Redirect(w, r, "http://"+thief+"/", http.StatusTemporaryRedirect)
			}
		},
	} {
		s := newSite(t, map[string]string{"pods.yaml": pod("p", "quay.io/o/a:1")})
		s.plan.Proxy.Domain = serve(t, handler)
		if err := s.try(nil, rewrite.Trial{Timeout: patience}); err == nil || !strings.Contains(err.Error(), "the proxy sends to another host, which is not shown the license") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTrySilence: a proxy that does not answer is bounded by the timeout.
func TestTrySilence(t *testing.T) {
	s := newSite(t, map[string]string{"pods.yaml": pod("p", "quay.io/o/a:1")})
	s.plan.Proxy.Domain = serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}))
	err := s.try(nil, rewrite.Trial{Timeout: 50 * time.Millisecond})
	if lacking, ok := errors.AsType[*rewrite.Lacking](err); !ok || len(lacking.Images) != 1 || !strings.HasSuffix(lacking.Images[0], ": no answer within 50ms") {
		t.Errorf("error %v", err)
	}
}
