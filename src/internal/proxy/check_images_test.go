// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// shelf is a directory of objects, and a registry that they may name.
type shelf struct {
	t       *testing.T
	network *registrytest.Network
	dir     string
	double  *registrytest.Registry
	host    string
	ca      string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	network, double := registrytest.NewNetwork(t), registrytest.NewRegistry(t)
	server := network.Serve("127.0.0.1", double)
	s := &shelf{t, network, t.TempDir(), double, server.Listener.Addr().String(), string(network.CA())}
	config := registrytest.Digest([]byte("{}"))
	double.PutBlob("team/api", []byte("{}"))
	double.PutManifest("team/api", "application/vnd.oci.image.manifest.v1+json",
		fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q,"size":2},"layers":[]}`, config), "v1")
	return s
}

// registry writes an object of the registry, with more in its spec, and a docker config for a host.
func (s *shelf) registry(name, credentialOf, password string, edit ...func(*v1alpha1.ExternalRegistry)) {
	s.t.Helper()
	r := &v1alpha1.ExternalRegistry{}
	r.Name, r.Spec.Hostname, r.Spec.CACertData = name, s.host, s.ca
	if credentialOf != "" {
		r.Spec.Credentials.DockerConfigFile = name + ".json"
		s.write(name+".json", fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, credentialOf, proxytest.User, password))
	}
	for _, each := range edit {
		each(r)
	}
	text, err := v1alpha1.Marshal(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".yml", string(text))
}

func (s *shelf) license(name, app string, edit ...func(*v1alpha1.License)) {
	s.t.Helper()
	l := &v1alpha1.License{}
	l.Name, l.Spec.AppSlug, l.Spec.CustomerName = name, app, "Acme"
	l.Spec.Credentials = []v1alpha1.Credential{{Name: "id", SHA256: v1alpha1.Hash(name)}}
	for _, each := range edit {
		each(l)
	}
	text, err := v1alpha1.Marshal(l)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".yml", string(text))
}

func (s *shelf) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// check returns what is said, each in one line, without the directory.
func (s *shelf) check(images ...string) (lines []string, err error) {
	s.t.Helper()
	err = proxy.Check(s.t.Context(), proxy.Checks{Images: true, ImagesDir: s.dir, ImageNames: images}, func(step diagnosis.Step) {
		if strings.Contains(step.Detail+step.Remedy, "\n") {
			s.t.Errorf("more than one line: %+v", step)
		}
		text := fmt.Sprint(step.Status, " ", step.Name, " ", step.Object, ": ", step.Detail, " -> ", step.Remedy)
		lines = append(lines, strings.ReplaceAll(text, s.dir+"/", ""))
	})
	all, _ := json.Marshal(lines)
	for _, secret := range []string{proxytest.Password, "mistyped", v1alpha1.Hash("acme")} {
		if strings.Contains(string(all), secret) {
			s.t.Errorf("%q is told: %s", secret, all)
		}
	}
	return lines, err
}

func TestImagesThatCanBePulled(t *testing.T) {
	s := newShelf(t)
	s.double.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password))
	s.registry("ours", s.host, proxytest.Password, func(r *v1alpha1.ExternalRegistry) { r.Spec.Alias, r.Spec.AppAccess = "o", []string{"shop"} })
	s.license("acme", "shop")
	s.license("old", "gone", func(l *v1alpha1.License) { l.Spec.ExpiresAt = "2020-01-01T00:00:00Z" })
	s.license("ended", "gone", func(l *v1alpha1.License) { l.Spec.Revoked = true })
	s.license("empty", "gone", func(l *v1alpha1.License) { l.Spec.Credentials = nil })
	lines, err := s.check("o/team/api:v1", "proxy.example.com/proxy/shop/"+s.host+"/team/api:v1")
	if err != nil {
		t.Errorf("%v: %s", err, strings.Join(lines, "\n"))
	}
	for _, want := range []string{
		"ok object ExternalRegistry ours in ours.yml: stands for " + s.host + ` and o, open to ["shop"] -> `,
		"ok object License acme in acme.yml: opens shop to Acme, without an end -> ",
		"ok object License old in old.yml: expired at 2020-01-01T00:00:00Z, and opens nothing -> ",
		"ok object License empty in empty.yml: has no credential, and opens nothing -> ",
		"ok token ExternalRegistry ours in ours.yml: the registry takes the credential of ours.json -> ",
		"ok pull ExternalRegistry ours in ours.yml: team/api v1 can be pulled -> ",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is missing:\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if lines, _ := s.check(); !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "skipped pull ") }) {
		t.Errorf("no word of images:\n%s", strings.Join(lines, "\n"))
	}
}

// TestWhatIsWrongWithImages is one line each, with what to do, and fails the check.
func TestWhatIsWrongWithImages(t *testing.T) {
	guarded := func(s *shelf) { s.double.GuardBy(registrytest.Basic(proxytest.User, proxytest.Password)) }
	good := func(s *shelf) {
		guarded(s)
		s.registry("ours", s.host, proxytest.Password)
		s.license("acme", "shop")
	}
	for name, test := range map[string]struct {
		arrange func(*shelf)
		image   string
		// want begins the line that fails, and remedy is in it.
		want, remedy string
	}{
		"nothing there": {func(*shelf) {}, "", "failed objects :", "neither a License nor an ExternalRegistry"},
		"a misspelt key": {func(s *shelf) {
			good(s)
			s.write("acme.yml", "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: acme}\nspec: {appSlag: shop}\n")
		}, "", "failed object License acme in acme.yml: line 4", "appSlug"},
		"no object": {func(s *shelf) { good(s); s.write("x.yml", "a: b\n") }, "", "failed object x.yml: line 1", "apiVersion"},
		"two with one id": {func(s *shelf) {
			good(s)
			s.license("other", "shop", func(l *v1alpha1.License) { l.Spec.Credentials[0].SHA256 = v1alpha1.Hash("acme") })
		}, "", "failed object License ", "make another id"},
		"an application without a registry": {func(s *shelf) {
			s.registry("ours", "", "", func(r *v1alpha1.ExternalRegistry) { r.Spec.AppAccess = []string{"shop"} })
			s.license("acme", "shap")
		}, "", "failed object License acme in acme.yml: no registry is open to the application shap", "appAccess"},
		"a docker config that is missing": {func(s *shelf) { good(s); _ = os.Remove(filepath.Join(s.dir, "ours.json")) }, "", "failed object ExternalRegistry ours", "dockerConfigFile"},
		"a credential of another host":    {func(s *shelf) { guarded(s); s.registry("ours", "quay.io", "x"); s.license("acme", "shop") }, "", "failed object ExternalRegistry ours", `it has some for ["quay.io"]`},
		"a wrong password":                {func(s *shelf) { guarded(s); s.registry("ours", s.host, "mistyped"); s.license("acme", "shop") }, "", "failed token ExternalRegistry ours", "correct them in ours.json"},
		"a wrong password for tokens": {func(s *shelf) {
			realm := &registrytest.Realm{User: proxytest.User, Password: proxytest.Password}
			realm.URL = s.network.Serve("127.0.0.1", realm).URL
			s.double.GuardBy(realm.Guard)
			s.registry("ours", s.host, "mistyped")
			s.license("acme", "shop")
		}, "", "failed token ExternalRegistry ours", "correct them in ours.json"},
		"no credential":  {func(s *shelf) { guarded(s); s.registry("ours", "", ""); s.license("acme", "shop") }, "", "failed token ExternalRegistry ours", "spec.credentials"},
		"an unknown CA":  {func(s *shelf) { good(s); s.ca = ""; s.registry("ours", s.host, proxytest.Password) }, "", "failed tls ExternalRegistry ours", "spec.caCertData"},
		"a port for TLS": {func(s *shelf) { good(s); s.registry("ours", s.host, proxytest.Password, plain) }, "", "failed tls ExternalRegistry ours", "remove spec.plainHTTP"},
		"no such name":   {func(s *shelf) { good(s); s.registry("b", "", "", at("registry.invalid")) }, "", "failed dns ExternalRegistry b", "spec.hostname"},
		"nobody listens": {func(s *shelf) { good(s); s.registry("b", "", "", at("127.0.0.1:1")) }, "", "failed tcp ExternalRegistry b", "spec.hostname"},
		"a foreign realm": {func(s *shelf) {
			good(s)
			s.double.GuardBy((&registrytest.Realm{URL: "https://auth.example.net/"}).Guard)
		}, "", "failed token ExternalRegistry ours", "add it to spec.tokenRealms"},
		"no such tag":        {good, "HOST/team/api:v9", "failed pull ExternalRegistry ours", "check the image's name"},
		"no such registry":   {good, "ghcr.io/team/api:v1", "failed image ghcr.io/team/api:v1", "ExternalRegistry"},
		"not the right":      {func(s *shelf) { good(s); s.double.When("", "/manifests/").Answer(403, "") }, "HOST/team/api:v1", "failed pull ExternalRegistry ours", "the right to pull"},
		"a blob that is not": {func(s *shelf) { good(s); s.double.When("", "/blobs/").Answer(404, "") }, "HOST/team/api:v1", "failed pull ExternalRegistry ours", "egress"},
		"an image of one that cannot be used": {func(s *shelf) {
			good(s)
			_ = os.Remove(filepath.Join(s.dir, "ours.json"))
		}, "HOST/team/api:v1", "failed image ", "cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			test.arrange(s)
			var images []string
			if test.image != "" {
				images = []string{strings.ReplaceAll(test.image, "HOST", s.host)}
			}
			lines, err := s.check(images...)
			found := slices.ContainsFunc(lines, func(l string) bool {
				return strings.HasPrefix(l, test.want) && strings.Contains(l, test.remedy)
			})
			if !found || !errors.Is(err, preflight.ErrFailed) {
				t.Errorf("%v, want a line %q with %q:\n%s", err, test.want, test.remedy, strings.Join(lines, "\n"))
			}
		})
	}
}

// TestOneRegistryHidesNoOther: what is wrong with one does not keep another from being asked, and the steps of
// each stay together.
func TestOneRegistryHidesNoOther(t *testing.T) {
	s := newShelf(t)
	for i := range 20 {
		s.registry(fmt.Sprintf("r%02d", i), "", "", at("127.0.0.1:1"), func(r *v1alpha1.ExternalRegistry) { r.Spec.AppAccess = []string{fmt.Sprint("app", i)} })
	}
	s.registry("ours", "", "")
	lines, err := s.check(s.host + "/team/api:v1")
	var order []string
	for _, l := range lines {
		if step, rest, ok := strings.Cut(l, " ExternalRegistry "); ok && !strings.HasSuffix(step, "object") {
			order = append(order, strings.Fields(rest)[0])
		}
	}
	if !slices.IsSortedFunc(order, strings.Compare) || !strings.Contains(strings.Join(lines, "\n"), "can be pulled") || !errors.Is(err, preflight.ErrFailed) {
		t.Errorf("%v, %q:\n%s", err, order, strings.Join(lines, "\n"))
	}
}

func TestImagesThatAreNone(t *testing.T) {
	for _, checks := range []proxy.Checks{
		{Images: true, ImagesDir: t.TempDir(), ImageNames: []string{"A b"}}, {Push: true, ImageNames: []string{"a"}}, {Images: true},
	} {
		err := proxy.Check(t.Context(), checks, func(step diagnosis.Step) { t.Errorf("%+v", step) })
		if _, usage := errors.AsType[proxy.UsageError](err); !usage {
			t.Errorf("%+v: %v", checks, err)
		}
	}
}

func plain(r *v1alpha1.ExternalRegistry) { r.Spec.PlainHTTP, r.Spec.CACertData = true, "" }

func at(host string) func(*v1alpha1.ExternalRegistry) {
	return func(r *v1alpha1.ExternalRegistry) { r.Spec.Hostname, r.Spec.CACertData = host, "" }
}
