// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m, "crane", "registry")) }

// app is the application that the tests' images belong to.
const app = "my-app"

// vendor is who has registries and gives out licenses. What he has is in a directory that servers follow.
type vendor struct {
	t   *testing.T
	dir string
	// registries by alias: private asks for tokens, legacy is an old one with a password, public asks nothing
	// and has referrers.
	registries map[string]*harness.Registry
	ids        []string
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	tokens := harness.NewTokens(t, 0)
	v := &vendor{t: t, dir: t.TempDir(), registries: map[string]*harness.Registry{
		"private": tokens.Guard(harness.Distribution{Program: harness.Tool(t, "registry"), Token: tokens.Config(t)}.Start(t)),
		"legacy":  harness.Distribution{Program: harness.System(t, "docker-registry", "docker-registry"), Basic: true}.Start(t),
		"public":  harness.InProcess(t),
	}}
	for alias, registry := range v.registries {
		v.opens(alias, registry)
	}
	return v
}

// opens writes the object of a registry, open to these applications; none: to all.
func (v *vendor) opens(alias string, registry *harness.Registry, apps ...string) {
	v.t.Helper()
	object := fmt.Sprintf("apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: ExternalRegistry\nmetadata: {name: the-%s}\nspec:\n  hostname: %q\n  alias: %s\n",
		alias, registry.Host, alias)
	if len(apps) > 0 {
		object += fmt.Sprintf("  appAccess: [%s]\n", strings.Join(apps, ", "))
	}
	if registry.Username != "" {
		harness.WriteFile(v.t, filepath.Join(v.dir, alias+".json"), registry.DockerConfig(v.t))
		object += fmt.Sprintf("  credentials: {dockerConfigFile: %s.json}\n", alias)
	}
	harness.WriteFile(v.t, filepath.Join(v.dir, alias+".yml"), []byte(object))
}

// license is what a customer has.
type license struct {
	vendor   *vendor
	customer string
	id       string
}

// license gives one out.
func (v *vendor) license(customer string) *license {
	v.t.Helper()
	l := &license{vendor: v, customer: customer, id: rand.Text()}
	v.ids = append(v.ids, l.id)
	l.write("")
	return l
}

// write puts the license in force, with more in its spec.
func (l *license) write(spec string) {
	l.vendor.t.Helper()
	hash := sha256.Sum256([]byte(l.id))
	harness.WriteFile(l.vendor.t, filepath.Join(l.vendor.dir, "license-"+l.customer+".yml"), []byte(fmt.Sprintf(
		"apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: %s}\nspec:\n  appSlug: %s\n  customerName: %s\n"+
			"  credentials: [{name: license-id, sha256: %s}]\n%s", l.customer, app, l.customer, hex.EncodeToString(hash[:]), spec)))
}

func (l *license) revoke() { l.write("  revoked: true\n") }

// remove takes the license's file away.
func (l *license) remove() {
	l.vendor.t.Helper()
	if err := os.Remove(filepath.Join(l.vendor.dir, "license-"+l.customer+".yml")); err != nil {
		l.vendor.t.Fatal(err)
	}
}

// auth is the header that shows the license.
func (l *license) auth() http.Header { return basic(l.id) }

func basic(id string) http.Header {
	return showing("Basic " + base64.StdEncoding.EncodeToString([]byte("ops@acme.example:"+id)))
}

// showing is what a client sends that knows today's manifests.
func showing(authorization string) http.Header {
	return http.Header{"Authorization": {authorization}, "Accept": {"application/vnd.oci.image.manifest.v1+json"}}
}

// serve starts a server with the image proxy alone, unless flags say otherwise. No id may be seen in its log
// or metrics.
func (v *vendor) serve(flags ...string) *harness.Server {
	v.t.Helper()
	secrets := []string{harness.Password}
	for _, id := range v.ids {
		secrets = append(secrets, id, base64.StdEncoding.EncodeToString([]byte("ops@acme.example:"+id)))
	}
	return harness.Start(v.t, harness.Options{
		Flags:   append([]string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + v.dir}, flags...),
		Secrets: secrets,
	})
}

// name of the vendor's repository, for a customer.
func name(alias string) string { return "proxy/" + app + "/" + alias + "/" + harness.Repository }

// pushed has a random image pushed to a registry under a tag, and gives its digest.
func (v *vendor) pushed(alias, tag string) string {
	v.t.Helper()
	image := harness.Image(v.t)
	registry := v.registries[alias]
	if err := remote.Write(registry.Reference(v.t, tag), image, registry.Options(v.t)...); err != nil {
		v.t.Fatal(err)
	}
	return harness.Digest(v.t, image)
}

// get asks for a path below a repository.
func get(t *testing.T, server *harness.Server, alias, path string, header http.Header) harness.Answer {
	t.Helper()
	return harness.Call(t, harness.Request{Method: http.MethodGet, URL: "http://" + server.Images + "/v2/" + name(alias) + path, Header: header})
}

// untilStatus waits until a manifest is answered so.
func untilStatus(t *testing.T, server *harness.Server, path string, header http.Header, status int) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("a %d", status), func(context.Context) error {
		if got := get(t, server, "private", path, header).Status; got != status {
			return fmt.Errorf("is answered %d", got)
		}
		return nil
	})
}
