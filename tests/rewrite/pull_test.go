// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestPulledWithTheSecret: the image that kubectl would apply is there for the Secret that it would apply,
// through the built server.
func TestPulledWithTheSecret(t *testing.T) {
	t.Parallel()
	registry := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	want := harness.Image(t)
	if err := remote.Write(registry.Reference(t, "v1"), want, registry.Options(t)...); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	hash := sha256.Sum256([]byte(licenseID))
	objects := filepath.Dir(p.file("objects/registry.yml", "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: ExternalRegistry\nmetadata: {name: vendor}\n"+
		"spec: {hostname: '"+registry.Host+"', alias: vendor, credentials: {dockerConfigFile: config.json}}\n"))
	p.file("objects/config.json", string(registry.DockerConfig(t)))
	p.file("objects/license.yml", "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: acme}\n"+
		"spec: {appSlug: my-kots-app, customerName: Acme, credentials: [{name: license-id, sha256: "+hex.EncodeToString(hash[:])+"}]}\n")
	server := harness.Start(t, harness.Options{
		Flags:   []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + objects},
		Secrets: []string{harness.Password, licenseID, base64.StdEncoding.EncodeToString([]byte("LICENSE_ID:" + licenseID))},
	})
	p.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '"+registry.Host+"/"+harness.Repository+":v1'}]}\n")
	p.run("", "kubectl", "lsp", "rewrite", "--base", "base", "--license-file", p.file("license.yaml", customer),
		"--proxy-domain", server.Images, "--alias", registry.Host+"=vendor")
	built, _ := p.run("", "kubectl", "kustomize", "overlays/midstream")
	all := objectsOf(t, built)

	var config struct{ Auths map[string]authn.AuthConfig }
	if err := json.Unmarshal(all["Secret my-kots-app-registry"].Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal(err)
	}
	image := all["Pod p"].Spec.Containers[0].Image
	if !strings.HasPrefix(image, server.Images+"/proxy/my-kots-app/vendor/") {
		t.Fatalf("the Pod runs %s", image)
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Image(ref, remote.WithContext(t.Context()), remote.WithAuth(authn.FromConfig(config.Auths[server.Images])))
	if err != nil {
		t.Fatal(err)
	}
	if harness.Digest(t, got) != harness.Digest(t, want) {
		t.Errorf("pulled %s, want %s", harness.Digest(t, got), harness.Digest(t, want))
	}
	if _, err := remote.Head(ref, remote.WithContext(t.Context())); err == nil {
		t.Error("it is there without the Secret too")
	}
}
