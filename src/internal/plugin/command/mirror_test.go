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
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// keeper is a registry that wants one password, and remembers what it was shown.
type keeper struct {
	host, password string
	mu             sync.Mutex
	shown          []string
}

func newKeeper(t *testing.T, password string) *keeper {
	t.Helper()
	k := &keeper{password: password}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		_, shown, _ := r.BasicAuth()
		k.mu.Lock()
		k.shown = append(k.shown, shown, r.URL.String(), string(body), strings.Join(r.Header["Cookie"], ""))
		k.mu.Unlock()
		if shown != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	k.host = strings.TrimPrefix(server.URL, "http://")
	return k
}

func (k *keeper) saw(secret string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Contains(strings.Join(k.shown, "\n"), secret)
}

// push puts an image there, with the password.
func (k *keeper) push(t *testing.T, reference string) v1.Hash {
	t.Helper()
	image, err := random.Image(3000, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(k.host + "/" + reference)
	if err == nil {
		err = remote.Write(ref, image, remote.WithAuth(basic(k.password)))
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func (k *keeper) has(t *testing.T, reference string) v1.Hash {
	t.Helper()
	ref, err := name.ParseReference(k.host + "/" + reference)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Head(ref, remote.WithAuth(basic(k.password)))
	if err != nil {
		t.Fatal(err)
	}
	return got.Digest
}

const theirPassword = "the-customers-own-password"

// gap is a customer with the vendor's proxy and a registry of his own.
type gap struct {
	*market
	proxy, own *keeper
	digest     v1.Hash
}

func newGap(t *testing.T) *gap {
	t.Helper()
	g := &gap{market: newMarket(t), proxy: newKeeper(t, licenseID), own: newKeeper(t, theirPassword)}
	g.digest = g.proxy.push(t, "proxy/my-app/vendor/o/private:1")
	g.file("docker/config.json", `{"auths":{"`+g.own.host+`":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("me:"+theirPassword))+`"}}}`)
	t.Setenv("DOCKER_CONFIG", g.path("docker"))
	return g
}

// mirror runs the command with what every use needs.
func (g *gap) mirror(args ...string) outcome {
	g.Helper()
	host, _, _ := strings.Cut(g.private, "/")
	return g.run(append([]string{"mirror", "--base", g.path("base"), "--license-file", g.path("license.yaml"), "--proxy-domain", g.proxy.host, "--alias", host + "=vendor"}, args...)...)
}

// below is where an image of a registry with a port is.
func below(image string) string { return "apps/" + strings.Replace(image, ":", "_", 1) }

func TestMirror(t *testing.T) {
	g := newGap(t)
	to := g.own.host + "/apps"
	g.mirror("--to", to, "--dry-run").want(t, 0, ".*planned +"+g.private+":1 +"+g.own.host+"/"+below(g.private)+":1\n.*newName: "+to+".*", "")
	if g.own.saw("/v2/") || g.proxy.saw("/manifests/1?") {
		t.Error("a dry run copies something")
	}
	first := g.mirror("--to", to, "--pull-secret", "mine")
	first.want(t, 0, "copied .*\ncopied .*create +.*kustomization.yaml\n.*", "Apply it: kubectl apply -k "+g.path("overlays/midstream"))
	if got := g.own.has(t, below(g.private)+":1"); got != g.digest {
		t.Errorf("arrived as %s, want %s", got, g.digest)
	}
	g.own.has(t, below(g.public)+":1")
	if g.own.saw(licenseID) || g.proxy.saw(theirPassword) || !g.proxy.saw(licenseID) {
		t.Error("a credential went to the wrong registry")
	}
	var all string
	files, _ := filepath.Glob(g.path("overlays/midstream/*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	if strings.Contains(all, licenseID) || strings.Contains(all, g.proxy.host) || !strings.Contains(all, "name: mine") || strings.Contains(all, "kind: Secret") ||
		strings.Count(all, "newName: "+to+"/") != 2 {
		t.Errorf("the midstream:\n%s", all)
	}
	var again mirrored
	out := g.mirror("--to", to, "--pull-secret", "mine", "-o", "json", "--quiet")
	if err := json.Unmarshal([]byte(out.out), &again); err != nil || out.err != "" || out.code != 0 {
		t.Fatalf("%v: %+v", err, out)
	}
	for _, image := range again.Images {
		if image.Action != "kept" || image.Bytes != 0 || image.Digest == "" || !strings.HasPrefix(image.NewName, to+"/") {
			t.Errorf("the second run: %+v", image)
		}
	}
	for _, file := range again.Files {
		if file.Action != "keep" {
			t.Errorf("the second run: %+v", file)
		}
	}
	// Another registry takes the entries over.
	g.mirror("--to", g.own.host+"/others").want(t, 0, "copied .*", "")
	text, err := os.ReadFile(g.path("overlays/midstream/kustomization.yaml"))
	if err != nil || strings.Contains(string(text), to+"/") || strings.Count(string(text), "newName: "+g.own.host+"/others/") != 2 {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestMirrorWritesThePullSecret(t *testing.T) {
	g := newGap(t)
	g.mirror("--to", g.own.host+"/apps", "--pull-secret-from-docker-config", "-n", "shop").want(t, 0, "copied .*", "")
	text, err := os.ReadFile(g.path("overlays/midstream/pull-secret.yaml"))
	if err != nil || !strings.Contains(string(text), "name: mirror-registry\n") || !strings.Contains(string(text), "namespace: shop\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	_, encoded, _ := strings.Cut(string(text), ".dockerconfigjson: ")
	encoded, _, _ = strings.Cut(encoded, "\n")
	config, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !strings.Contains(string(config), `"`+g.own.host+`"`) || !strings.Contains(string(config), theirPassword) || strings.Contains(string(config), licenseID) {
		t.Errorf("%v: %s", err, config)
	}
	g.file("docker/config.json", `{"auths":{}}`)
	g.mirror("--to", g.public+"/apps", "--pull-secret-from-docker-config").want(t, 1, "", "the docker config has no user name and password for ")
}

func TestMirrorOverAnAirGap(t *testing.T) {
	g := newGap(t)
	tar := g.path("images.tar")
	g.mirror("--to-tar", tar).want(t, 0, "copied .*\ncopied .*create +"+tar+"\n", "")
	to := g.own.host + "/apps"
	// There, nobody knows the vendor.
	unpack := func(args ...string) outcome {
		return g.run(append([]string{"mirror", "--from-tar", tar, "--to", to}, args...)...)
	}
	unpack("--base", g.path("base"), "--dry-run").want(t, 0, "planned .*newName: "+to+"/.*", "")
	unpack("--base", g.path("base")).want(t, 0, "copied .*create .*kustomization.yaml\n.*", "Apply it: ")
	if got := g.own.has(t, below(g.private)+":1"); got != g.digest {
		t.Errorf("arrived as %s, want %s", got, g.digest)
	}
	unpack().want(t, 0, "kept .*\nkept .*", "2 of 2: ")
	g.file("base/more.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: q}\nspec: {containers: [{name: a, image: 'quay.io/new/one:2'}]}\n")
	unpack("--base", g.path("base")).want(t, 1, "", "quay.io/new/one:2 is not in "+tar+": write it again from this base\n")
	content, err := os.ReadFile(tar)
	if err != nil {
		t.Fatal(err)
	}
	g.file("images.tar", string(content[:len(content)/2]))
	unpack().want(t, 1, "", "kubectl lsp: read the tar "+tar+": the file ends too early: it was cut off, or its writing was interrupted\n")
}

// TestMirrorFails: nothing is written unless all is copied.
func TestMirrorFails(t *testing.T) {
	g := newGap(t)
	to := []string{"--to", g.own.host + "/apps"}
	host, _, _ := strings.Cut(g.private, "/")
	g.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '"+host+"/o/gone:1'}, {name: b, image: '"+g.public+":1'}]}\n")
	g.mirror(to...).want(t, 1, "", "1 of 2 images could not be copied, and nothing was written: "+host+"/o/gone:1: there is no such image\n")
	g.own.has(t, below(g.public)+":1")
	g.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: b, image: '"+g.public+":2'}]}\n")
	open, _, _ := strings.Cut(g.public, "/")
	g.mirror(append(to, "--alias", open+"=open")...).want(t, 1, "", g.public+":2: there is no such image\n")
	g.file("docker/config.json", `{"auths":{}}`)
	g.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: b, image: '"+g.public+":1'}]}\n")
	g.mirror(to...).want(t, 1, "", g.own.host+" answers 401, Unauthorized; docker login "+g.own.host+" with an account that may push there\n")
	if _, err := os.Stat(g.path("overlays")); err == nil {
		t.Error("an error wrote something")
	}
}

func TestMirrorMistakes(t *testing.T) {
	g := newGap(t)
	from := []string{"mirror", "--from-tar", "x"}
	base := []string{"mirror", "--base", g.path("base"), "--license-file", g.path("license.yaml")}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"nowhere", base, "name one place to copy to: --to REGISTRY/PATH, or --to-tar FILE"},
		{"two places", append(base, "--to", "a.b/c", "--to-tar", "x"), "name one place"},
		{"no base", []string{"mirror", "--to", "a.b/c"}, "--base is missing"},
		{"no license", []string{"mirror", "--to", "a.b/c", "--base", "x"}, "name the license by"},
		{"a URL", append(base, "--to", "https://a.b/c"), "write a registry and a path in lower case"},
		{"no host", append(base, "--to", "apps/c"), "write a registry and a path in lower case"},
		{"capitals", append(base, "--to", "a.b/C"), "write a registry and a path in lower case"},
		{"a tag", append(base, "--to", "a.b/c:1"), "write a registry and a path in lower case"},
		{"the proxy", append(base, "--to", "proxy.example.com/c", "--all"), "is where the vendor's images are, and takes none"},
		{"the vendor's registry", append(base, "--to", "registry.example.com/c", "--registry-domain", "registry.example.com", "--all"), "is where the vendor's images are"},
		{"no concurrency", append(base, "--to", "a.b/c", "--concurrency", "0"), "--concurrency 0: choose one from 1 to 64"},
		{"too much", append(base, "--to", "a.b/c", "--concurrency", "65"), "--concurrency 65"},
		{"a bad Secret", append(base, "--to", "a.b/c", "--pull-secret", "A"), `--pull-secret "A" cannot be the name of a Secret`},
		{"a midstream of a tar", append(base, "--to-tar", "x", "--midstream", "m"), "--to-tar writes no midstream"},
		{"from a tar to nowhere", from, "--to is missing: name the registry"},
		{"from a tar to a tar", append(from, "--to-tar", "y"), "--to is missing: name the registry"},
		{"a midstream without a base", append(from, "--to", "a.b/c", "--midstream", "m"), "--base is missing: without it --from-tar"},
		{"a stream", append(base, "--to", "a.b/c", "-f", "-"), "unknown shorthand flag: 'f'"},
		{"an argument", append(base, "--to", "a.b/c", "x"), "one too many"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := g.run(tt.args...)
			out.want(t, 2, "", tt.want)
			if strings.Count(out.err, "\n") != 1 {
				t.Errorf("stderr:\n%s", out.err)
			}
		})
	}
	g.run(append(from, "--to", "a.b/c")...).want(t, 1, "", "read the tar: open x: no such file")
	g.run("mirror", "--base", g.path("base"), "--license-file", g.path("license.yaml"), "--to", "a.b/c").want(t, 1, "",
		"cannot be pulled through the proxy, because of the port: say --alias ")
}

func basic(password string) authn.Authenticator {
	return &authn.Basic{Username: "x", Password: password}
}
