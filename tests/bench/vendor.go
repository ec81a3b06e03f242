// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	apiVersion = "imageproxy.apps.tanzu.vmware.com/v1alpha1"
	// app is the application whose images the licenses open.
	app = "bench"
)

// Vendor is a directory with licenses, and with the registry that they open. Any number of processes serve
// it.
type Vendor struct {
	Dir string
	// IDs of the licenses, by number.
	IDs []string

	registry *harness.Registry
	revoked  []bool
	perFile  int
}

// NewVendor gives out so many licenses, and keeps so many in each file.
func NewVendor(t testing.TB, registry *harness.Registry, licenses, perFile int) *Vendor {
	t.Helper()
	v := &Vendor{
		Dir: t.TempDir(), IDs: make([]string, licenses),
		registry: registry, revoked: make([]bool, licenses), perFile: perFile,
	}
	for i := range v.IDs {
		v.IDs[i] = rand.Text()
	}
	for i := 0; i < licenses; i += perFile {
		check(t, v.write(i))
	}
	// The server reads files of YAML only, and this one by its name in the registry's.
	harness.WriteFile(t, filepath.Join(v.Dir, "config.json"), registry.DockerConfig(t))
	harness.WriteJSON(t, filepath.Join(v.Dir, "registry.yaml"), map[string]any{
		"apiVersion": apiVersion, "kind": "ExternalRegistry", "metadata": map[string]any{"name": app},
		"spec": map[string]any{
			"hostname": registry.Host, "plainHTTP": len(registry.CA) == 0, "caCertData": string(registry.CA),
			"credentials": map[string]any{"dockerConfigFile": "config.json"},
		},
	})
	return v
}

// write puts the file that has a license in the place of the one before, as an editor does.
func (v *Vendor) write(license int) error {
	first := license - license%v.perFile
	var content []byte
	for i := first; i < min(first+v.perFile, len(v.IDs)); i++ {
		content = append(content, v.license(i)...)
	}
	next := filepath.Join(v.Dir, ".next")
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("write licenses: %w", err)
	}
	return os.Rename(next, filepath.Join(v.Dir, fmt.Sprintf("customers-%05d.yaml", first)))
}

// Revoke ends a license.
func (v *Vendor) Revoke(license int) error {
	v.revoked[license] = true
	return v.write(license)
}

func (v *Vendor) license(i int) []byte {
	return fmt.Appendf(nil, `---
apiVersion: %[1]s
kind: License
metadata:
  name: customer-%05[2]d
spec:
  appSlug: %[3]s
  customerName: Customer %[2]d
  customerEmail: operations@customer-%05[2]d.example
  credentials:
  - name: license-id
    sha256: %[4]x
  expiresAt: "2099-01-01T00:00:00Z"
  revoked: %[5]t
`, apiVersion, i, app, sha256.Sum256([]byte(v.IDs[i])), v.revoked[i])
}

// Way is the way through the image proxy with one of the licenses, to the repository that the straight way
// goes to.
func (v *Vendor) Way(side *Images, license int) *Way {
	return &Way{
		Name: Proxy, Base: "http://" + side.Host, Repository: "proxy/" + app + "/" + v.registry.Host + "/" + harness.Repository,
		HTTP: &http.Client{Transport: licensed{v.IDs[license], side.client.Transport}}, Server: &Meter{PID: side.PID()},
	}
}

// licensed shows a license id as a password.
type licensed struct {
	id   string
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (l licensed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth("LICENSE_ID", l.id)
	return l.next.RoundTrip(r)
}

// Images is the image proxy alone, in a process of its own.
type Images struct {
	*harness.Process
	Host string

	client *http.Client
}

// Serve starts a process that serves the vendor's images, and waits until it is ready.
func (v *Vendor) Serve(t testing.TB, flags ...string) *Images {
	t.Helper()
	admin := harness.FreeAddress(t)
	cmd := serverCommand(append([]string{
		"serve", "--listen-address=", "--admin-address=" + admin,
		"--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + v.Dir,
	}, flags...)...)
	side := &Images{client: newClient(t, nil), Process: harness.StartProcess(t, "local-source-proxy", cmd)}
	check(t, ready(t.Context(), side.client, "http://"+admin+"/readyz"))
	harness.Eventually(t, "the image proxy says where it is", func(context.Context) error {
		for _, record := range side.Stderr.Records("serving") {
			if record["door"] == "images" {
				side.Host, _ = record["address"].(string)
				return nil
			}
		}
		return errors.New("not in its log yet")
	})
	return side
}
