// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// refused runs the command, which has to fail, and returns what it says.
func (p *place) refused(args ...string) string {
	p.Helper()
	cmd := exec.CommandContext(p.Context(), filepath.Join(os.Getenv(programsDir), "kubectl-lsp"), args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		p.Fatalf("%s: %v\n%s", cmd, err, said.String())
	}
	return said.String()
}

// TestVerify: the built server is asked with the license, and what it says reaches the user, before a file is
// written.
func TestVerify(t *testing.T) {
	t.Parallel()
	registry := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	if err := remote.Write(registry.Reference(t, "v1"), harness.Image(t), registry.Options(t)...); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	hash := func(id string) string {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])
	}
	objects := filepath.Dir(p.file("objects/registry.yml", "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: ExternalRegistry\nmetadata: {name: vendor}\n"+
		"spec: {hostname: '"+registry.Host+"', alias: vendor, credentials: {dockerConfigFile: config.json}}\n"))
	p.file("objects/config.json", string(registry.DockerConfig(t)))
	license := func(name, id, more string) string {
		return "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: " + name + "}\nspec: {appSlug: my-kots-app, customerName: Acme" +
			more + ", credentials: [{name: license-id, sha256: " + hash(id) + "}]}\n---\n"
	}
	const ended = "2ZEXAMPLELICENSEIDTHATENDED"
	p.file("objects/license.yml", license("acme", licenseID, "")+license("ended", ended, ", expiresAt: 2020-01-01T00:00:00Z"))
	server := harness.Start(t, harness.Options{
		Flags:   []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + objects},
		Secrets: []string{harness.Password, licenseID, base64.StdEncoding.EncodeToString([]byte("LICENSE_ID:" + licenseID))},
	})
	image := registry.Host + "/" + harness.Repository
	pod := func(images ...string) {
		text := "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n"
		for i, image := range images {
			text += "  - {name: c" + strconv.Itoa(i) + ", image: '" + image + "'}\n"
		}
		p.file("base/pod.yaml", text)
	}
	verify := func(file string) []string {
		return []string{"rewrite", "--base", "base", "--license-file", file, "--proxy-domain", server.Images, "--verify",
			"--alias", registry.Host + "=vendor," + nobody + "=nobody"}
	}
	mine := p.file("license.yaml", customer)

	pod(image+":v1", image+":none")
	said := p.refused(verify(mine)...)
	if !strings.Contains(said, "\n"+image+":none as "+server.Images+"/proxy/my-kots-app/vendor/"+harness.Repository+":none: MANIFEST_UNKNOWN: ") ||
		!strings.Contains(said, "kubectl lsp: 1 of the application's 2 images cannot be pulled from the image proxy; nothing was written\n") {
		t.Errorf("a tag that is not there:\n%s", said)
	}
	pod(image + ":v1")
	said = p.refused(verify(p.file("ended.yaml", strings.Replace(customer, licenseID, ended, 1)))...)
	if !strings.Contains(said, ": DENIED: ") || !strings.Contains(said, "expired") || strings.Contains(said, ended) {
		t.Errorf("a license that ended:\n%s", said)
	}
	said = p.refused(verify(p.file("unknown.yaml", strings.Replace(customer, licenseID, "2ZNOBODYS", 1)))...)
	if !strings.Contains(said, "kubectl lsp: ask the image proxy "+server.Images+" with the license: UNAUTHORIZED: ") || strings.Contains(said, "2ZNOBODYS") {
		t.Errorf("a license that is none:\n%s", said)
	}
	if _, there := p.tree()[filepath.Join(p.dir, "overlays/midstream/kustomization.yaml")]; there {
		t.Error("something was written")
	}

	pod(image+":v1", nobody+"/slow:1")
	out, said := p.run("", "kubectl-lsp", verify(mine)...)
	if !strings.Contains(said, "Warning: nobody knows whether there is "+nobody+"/slow:1") || !strings.Contains(out, "; the proxy does not know it either") {
		t.Errorf("a registry that nobody has:\n%s%s", out, said)
	}
	built, _ := p.run("", "kubectl", "kustomize", "overlays/midstream")
	containers := objectsOf(t, built)["Pod p"].Spec.Containers
	if containers[0].Image != server.Images+"/proxy/my-kots-app/vendor/"+harness.Repository+":v1" || containers[1].Image != nobody+"/slow:1" {
		t.Errorf("built:\n%s", built)
	}
}
