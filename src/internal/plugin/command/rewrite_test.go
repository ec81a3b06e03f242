// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"sigs.k8s.io/yaml"
)

const licenseID = "2ZEXAMPLELICENSEID"

const customerFile = `apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1
kind: CustomerLicense
spec: {appSlug: my-app, customerName: Acme, licenseID: ` + licenseID + `, proxyDomain: proxy.example.com}
`

// market is a customer's directory, with a base of one private and one public image.
type market struct {
	*world
	dir, private, public string
}

func newMarket(t *testing.T) *market {
	t.Helper()
	open := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	public := httptest.NewServer(open)
	t.Cleanup(public.Close)
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(closed.Close)
	s := &market{&world{T: t}, t.TempDir(), strings.TrimPrefix(closed.URL, "http://") + "/o/private", strings.TrimPrefix(public.URL, "http://") + "/o/public"}
	ref, err := name.ParseReference(s.public + ":1")
	if err == nil {
		err = remote.Write(ref, empty.Image)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", "/nonexistent")
	s.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '"+s.private+":1'}, {name: b, image: '"+s.public+":1'}]}\n")
	s.file("license.yaml", customerFile)
	s.file("id", licenseID+"\n")
	return s
}

func (s *market) file(name, text string) {
	s.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *market) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// rewrite runs the command with what every use needs, by the license file.
func (s *market) rewrite(args ...string) outcome {
	s.Helper()
	host, _, _ := strings.Cut(s.private, "/")
	return s.run(append([]string{"rewrite", "--base", s.path("base"), "--license-file", s.path("license.yaml"), "--alias", host + "=vendor"}, args...)...)
}

func TestRewrite(t *testing.T) {
	s := newMarket(t)
	dry := s.rewrite("--dry-run")
	dry.want(t, 0, `.*private +`+s.private+`:1 +the registry wants credentials \(401\)\n.*create .*newName: proxy\.example\.com/proxy/my-app/vendor/o/private\n.*`, "Asked the registries about 2 images.\n")
	dry.want(t, 0, ".*public +"+s.public+":1 +the registry gives it to everybody\n.*", "")
	if _, err := os.Stat(s.path("overlays")); err == nil {
		t.Fatal("--dry-run wrote something")
	}
	if encoded := base64.StdEncoding.EncodeToString([]byte(licenseID)); strings.Contains(dry.out+dry.err, licenseID) || strings.Contains(dry.out, encoded[:16]) || !strings.Contains(dry.out, "(the license)") {
		t.Errorf("--dry-run shows the license:\n%s", dry.out)
	}
	s.rewrite("-n", "shop").want(t, 0, ".*create .*kustomization.yaml\n.*", "Apply it: kubectl apply -n shop -k "+s.path("overlays/midstream"))
	text, err := os.ReadFile(s.path("overlays/midstream/kustomization.yaml"))
	if err != nil || strings.Contains(string(text), s.public) || !strings.Contains(string(text), "name: "+s.private+"\n") {
		t.Errorf("%v\n%s", err, text)
	}
	again := s.rewrite("-n", "shop", "--quiet")
	again.want(t, 0, ".*keep .*", "")
	if strings.Contains(again.out, "create") || strings.Contains(again.out, "update") || again.err != "" {
		t.Errorf("the second run: %+v", again)
	}
	secret, err := os.ReadFile(s.path("overlays/midstream/pull-secret.yaml"))
	if err != nil || !strings.Contains(string(secret), "namespace: shop\n") {
		t.Errorf("%v\n%s", err, secret)
	}
}

func TestRewriteForPrograms(t *testing.T) {
	s := newMarket(t)
	var result rewritten
	out := s.run("rewrite", "--base", s.path("base"), "--midstream", s.path("mid"), "--app-slug", "my-app", "--license-id-file", s.path("id"),
		"--proxy-domain", "other.example.com", "--all", "-o", "json", "--dry-run")
	if err := json.Unmarshal([]byte(out.out), &result); err != nil || out.code != 0 {
		t.Fatalf("%v: %+v", err, out)
	}
	if len(result.Images) != 2 || result.Images[0].Verdict != "assumed" || result.Images[0].NewName == "" || len(result.Files) != 4 || len(result.Warnings) != 2 {
		t.Errorf("result %+v", result)
	}
	for _, image := range result.Images {
		if !strings.HasPrefix(image.NewName, "other.example.com/proxy/my-app/127.0.0.1:") {
			t.Errorf("%+v", image)
		}
	}
}

// TestRewriteDomain: --proxy-domain, then the Application, then the license.
func TestRewriteDomain(t *testing.T) {
	s := newMarket(t)
	newName := func(domain string) string { return "(?s).*newName: " + domain + "/proxy/my-app/.*" }
	s.rewrite("--dry-run").want(t, 0, newName("proxy.example.com"), "")
	s.file("base/app.yaml", "apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: a}\nspec: {proxyRegistryDomain: app.example.com, additionalNamespaces: [more, '*']}\n")
	s.rewrite("--dry-run", "-n", "shop").want(t, 0, newName("app.example.com")+"namespace: shop\n.*namespace: more\n.*", `Warning: the Application may use namespaces that do not exist yet ("*")`)
	s.rewrite("--dry-run", "--proxy-domain", "flag.example.com").want(t, 0, newName("flag.example.com"), "")
	s.rewrite("-n", "shop").want(t, 0, ".*", "kubectl config set-context --current --namespace shop && kubectl apply -k ")
}

// TestRewriteAsTheApplicationSays: its fields count where no flag says otherwise.
func TestRewriteAsTheApplicationSays(t *testing.T) {
	s := newMarket(t)
	s.file("base/app.yaml", "apiVersion: kots.io/v1beta1\nkind: Application\nmetadata: {name: a}\nspec: {proxyPublicImages: true, replicatedRegistryDomain: registry.app.example}\n")
	s.file("base/licensed.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: q}\nspec: {containers: [{name: a, image: 'registry.app.example/x:1'}]}\n")
	out := s.rewrite("--dry-run", "--alias", strings.SplitN(s.public, "/", 2)[0]+"=public")
	for _, line := range []string{"assumed +" + s.private + ":1 +the Application has proxyPublicImages", "assumed +" + s.public + ":1 ", "licensed +registry.app.example/x:1 ", "newName: .*public/o/public"} {
		out.want(t, 0, ".*"+line+".*", "")
	}
	if strings.Contains(out.err, "Asked the registries") {
		t.Errorf("a registry was asked: %s", out.err)
	}
	s.rewrite("--dry-run", "--all=false", "--registry-domain", "other.example.com").want(t, 0, ".*public +"+s.public+":1.*", "")
}

// TestRewriteVerify: nothing is written when the proxy lacks an image.
func TestRewriteVerify(t *testing.T) {
	s := newMarket(t)
	has := false
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, id, _ := r.BasicAuth()
		switch {
		case id != licenseID:
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
		case has && r.URL.Path == "/v2/proxy/my-app/vendor/o/private/manifests/1":
			_, _ = io.WriteString(w, `{"schemaVersion":2}`)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"the license was revoked"}]}`)
		}
	}))
	defer proxy.Close()
	args := []string{"--verify", "--proxy-domain", strings.TrimPrefix(proxy.URL, "http://")}
	out := s.rewrite(args...)
	out.want(t, 1, "", ": DENIED: the license was revoked (403)\nkubectl lsp: 1 of the application's 1 images cannot be pulled from the image proxy; nothing was written\n")
	out.want(t, 1, "", s.private+":1 as ")
	if _, err := os.Stat(s.path("overlays")); err == nil || strings.Contains(out.err, licenseID) {
		t.Fatalf("something was written, or said: %s", out.err)
	}
	has = true
	s.rewrite(args...).want(t, 0, ".*create .*kustomization.yaml\n.*", "The image proxy has what goes through it.\n")
}

func TestRewriteWarnsOfLicenses(t *testing.T) {
	s := newMarket(t)
	s.file("license.yaml", "apiVersion: kots.io/v1beta1\nkind: License\nspec: {appSlug: their-app, licenseID: "+licenseID+", entitlements: {expires_at: {value: 2020-01-01T00:00:00Z}}}\n")
	out := s.rewrite("--dry-run", "--all", "--app-slug", "my-app", "--proxy-domain", "proxy.example.com")
	out.want(t, 0, ".*", "Warning: the license ended on 2020-01-01T00:00:00Z")
	out.want(t, 0, ".*", "Warning: the license is for the application their-app, and not for my-app")
	s.run("helm-values", "--license-file", s.path("license.yaml"), "--proxy-domain", "proxy.example.com").want(t, 0, "global:\n.*", "the license ended on")
}

func TestRewriteMistakes(t *testing.T) {
	s := newMarket(t)
	s.file("bad/a.yaml", "a: b\n c: d\n")
	s.file("secret.yaml", "apiVersion: v1\nkind: Secret\n")
	needed := []string{"--base", s.path("base"), "--app-slug", "a", "--license-id-file", s.path("id"), "--all"}
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no base", nil, 2, "--base is missing"},
		{"no license", []string{"--base", "x", "--app-slug", "a"}, 2, "--license-file or by --license-id-file"},
		{"two licenses", append(needed, "--license-file", "x"), 2, "--license-file or by --license-id-file"},
		{"no app", []string{"--base", "x", "--license-id-file", "x"}, 2, "--app-slug is missing"},
		{"no domain", needed, 2, "--proxy-domain is missing, and neither an Application"},
		{"a URL", append(needed, "--proxy-domain", "https://x"), 2, `--proxy-domain "https://x" is not a domain`},
		{"a bad registry", append(needed, "--registry-domain", "x"), 2, "--registry-domain"},
		{"a bad namespace", append(needed, "-n", "A"), 2, `--namespace "A" cannot be a namespace`},
		{"a bad alias", append(needed, "--alias", "localhost:5000=a/b"), 2, "--alias localhost:5000=a/b: write host=alias"},
		{"a bad slug", append(needed, "--app-slug", "A"), 2, `--app-slug "A"`},
		{"no time", append(needed, "--timeout", "0s"), 2, "--timeout 0s"},
		{"a bad format", append(needed, "-o", "xml"), 2, "choose one of text, json, yaml"},
		{"an argument", append(needed, "x"), 2, "one too many"},
		{"no such base", append(needed, "--base", "/no/such"), 1, "read the base: stat /no/such: no such file"},
		{"invalid YAML", append(needed, "--base", s.path("bad")), 1, "a.yaml: line 2: mapping values are not allowed"},
		{"no such license", []string{"--base", s.path("base"), "--license-file", "/no/such"}, 1, "read the license: open /no/such"},
		{"unknown license", []string{"--base", s.path("base"), "--license-file", s.path("secret.yaml")}, 1, "apiVersion and kind are of no license file"},
		{"a license as id", []string{"--base", s.path("base"), "--app-slug", "a", "--license-id-file", s.path("license.yaml")}, 1, "white space"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := s.run(append([]string{"rewrite"}, tt.args...)...)
			out.want(t, tt.code, "", tt.want)
			if strings.Count(out.err, "\n") != 1 || strings.Contains(out.err, licenseID) {
				t.Errorf("stderr:\n%s", out.err)
			}
		})
	}
	if _, err := os.Stat(s.path("overlays")); err == nil {
		t.Error("a mistake wrote something")
	}
}

// TestRewriteWithASilentRegistry: no answer in time is private, and is said.
// TestRewriteOfABaseWithAHole: kustomize says it in four nested errors, of which the cause comes first.
func TestRewriteOfABaseWithAHole(t *testing.T) {
	s := newMarket(t)
	s.file("base/kustomization.yaml", "resources: [pod.yaml, gone.yaml]\n")
	s.rewrite().want(t, 1, "", "kubectl lsp: kustomize cannot build "+s.path("base")+": a kustomization names "+s.path("base/gone.yaml")+", which does not exist (kustomize says: ")
}

// TestRewriteWithoutPrivateImages: what nothing uses is said.
func TestRewriteWithoutPrivateImages(t *testing.T) {
	s := newMarket(t)
	s.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '"+s.public+":1'}]}\n")
	s.rewrite().want(t, 0, ".*", "Warning: no image of the base goes through the proxy: nothing uses the pull Secret, and there is no need to apply it.\n")
}

func TestRewriteWithASilentRegistry(t *testing.T) {
	s := newMarket(t)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
	}))
	defer silent.Close()
	s.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '"+strings.TrimPrefix(silent.URL, "http://")+"/x:1'}]}\n")
	s.rewrite("--timeout", "50ms", "--dry-run").want(t, 0, "unreachable .*/x:1 +no answer within 50ms\n.*newName: .*", "Warning: not answered for by their registries: ")
}

func TestHelmValues(t *testing.T) {
	s := newMarket(t)
	for _, args := range [][]string{
		{"--license-file", s.path("license.yaml"), "--registry-domain", "registry.example.com"},
		{"--license-id-file", s.path("id"), "--proxy-domain", "proxy.example.com", "--registry-domain", "registry.example.com", "-o", "json"},
	} {
		out := s.run(append([]string{"helm-values"}, args...)...)
		var values struct {
			Global struct {
				Replicated struct{ Dockerconfigjson string }
			}
		}
		if err := yaml.Unmarshal([]byte(out.out), &values); err != nil || out.code != 0 || out.err != "" {
			t.Fatalf("%v: %+v", err, out)
		}
		raw, err := base64.StdEncoding.DecodeString(values.Global.Replicated.Dockerconfigjson)
		var config struct {
			Auths map[string]struct{ Password string }
		}
		if err == nil {
			err = json.Unmarshal(raw, &config)
		}
		if err != nil || config.Auths["proxy.example.com"].Password != licenseID || config.Auths["registry.example.com"].Password != licenseID {
			t.Errorf("%v: %s", err, raw)
		}
	}
	s.run("helm-values", "--license-id-file", s.path("id")).want(t, 2, "", "--proxy-domain is missing, and the license does not name it")
	s.run("helm-values").want(t, 2, "", "name the license by")
}
