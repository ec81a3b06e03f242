// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// vendor has images in a registry with a password, a server in front of it, and licenses in a directory.
type vendor struct {
	*place
	dir    string
	server *harness.Server
	image  string // by its name at the server
	digest string
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{place: &place{}, dir: t.TempDir()}
	home := t.TempDir()
	v.env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "DOCKER_CONFIG="+home, "KUBECONFIG=/nonexistent")
	v.upstream = harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	image := harness.Image(t)
	if err := remote.Write(v.upstream.Reference(t, "v1"), image, v.upstream.Options(t)...); err != nil {
		t.Fatal(err)
	}
	harness.WriteFile(t, filepath.Join(v.dir, "config.json"), v.upstream.DockerConfig(t))
	harness.WriteFile(t, filepath.Join(v.dir, "registry.yml"), []byte(`apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1
kind: ExternalRegistry
metadata: {name: ours}
spec: {hostname: "`+v.upstream.Host+`", alias: ours, plainHTTP: true, credentials: {dockerConfigFile: config.json}}
`))
	v.server = harness.Start(t, harness.Options{
		Flags:   []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + v.dir},
		Secrets: []string{harness.Password},
	})
	v.image, v.digest = v.server.Images+"/proxy/shop/ours/"+harness.Repository+":v1", harness.Digest(t, image)
	return v
}

// try runs a command, which may fail.
func (v *vendor) try(t *testing.T, config, program string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	cmd := v.command(ctx, program, args...)
	if config != "" {
		cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+config)
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

func (v *vendor) license(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	stdout, _ = v.run(t, plugin(), append([]string{"license", "--dir", v.dir}, args...)...)
	return stdout
}

// customer is somebody with an id, who has put the pull Secret into a docker config.
type customer struct{ id, config string }

func (v *vendor) customer(t *testing.T, command string, args ...string) customer {
	t.Helper()
	var made struct {
		ID         string
		PullSecret struct{ Data map[string][]byte }
	}
	if err := json.Unmarshal([]byte(v.license(t, append([]string{command, "--domain", v.server.Images, "-o", "json"}, args...)...)), &made); err != nil {
		t.Fatal(err)
	}
	c := customer{made.ID, t.TempDir()}
	harness.WriteFile(t, filepath.Join(c.config, "config.json"), made.PullSecret.Data[".dockerconfigjson"])
	return c
}

// eventually pulls until the outcome is what it should be: the server takes a change up soon, not at once.
func (v *vendor) eventually(t *testing.T, c customer, want string) {
	t.Helper()
	harness.Eventually(t, "a pull: "+want, func(context.Context) error {
		code, out, errOut := v.try(t, c.config, harness.Tool(t, "crane"), "digest", "--insecure", "--full-ref", v.image)
		if said := fmt.Sprintf("exit code %d: %s%s", code, out, errOut); !strings.Contains(said, want) {
			return errors.New(said)
		}
		return nil
	})
}

// TestLicense is a license's life as a vendor and a customer see it.
func TestLicense(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	first := v.customer(t, "create", "--app", "shop", "--customer", "Acme", "--expires", "30d")
	v.eventually(t, first, "exit code 0: "+strings.TrimSuffix(v.image, ":v1")+"@"+v.digest)

	v.license(t, "revoke", "acme", "--yes")
	v.eventually(t, first, "DENIED: ")
	v.license(t, "revoke", "acme", "--undo")
	v.eventually(t, first, "exit code 0: ")

	second := v.customer(t, "rotate", "acme")
	v.eventually(t, second, "exit code 0: ")
	v.eventually(t, first, "exit code 0: ")
	third := v.customer(t, "rotate", "acme", "--now")
	v.eventually(t, third, "exit code 0: ")
	for _, old := range []customer{first, second} {
		v.eventually(t, old, "UNAUTHORIZED: ")
	}

	v.server.AwaitLog(t, `"status":200`, 1)
	v.server.AwaitLog(t, `"status":403`, 1)
	log := harness.WriteFile(t, filepath.Join(t.TempDir(), "server.log"), []byte(v.server.Stderr.String()))
	table := v.license(t, "pulls", "acme", "--log", log)
	if !strings.Contains(table, " ours/"+harness.Repository+" ") || !strings.Contains(table, " 200 ") || !strings.Contains(table, " 403 ") {
		t.Errorf("the license's pulls:\n%s", table)
	}
	shown := table + v.license(t, "list", "-o", "yaml") + v.license(t, "show", "acme") + v.license(t, "delete", "acme", "--yes")
	v.eventually(t, third, "UNAUTHORIZED: ")
	for _, c := range []customer{first, second, third} {
		if strings.Contains(shown, c.id) || strings.Contains(v.server.Stderr.String(), c.id) {
			t.Error("a license id is shown where it was not made")
		}
	}
}

// TestLicenseMistakes holds what the program itself makes of mistakes: one line, and an exit code that
// scripts can tell apart.
func TestLicenseMistakes(t *testing.T) {
	t.Parallel()
	v := &vendor{place: &place{env: append(os.Environ(), "KUBECONFIG=/nonexistent")}, dir: t.TempDir()}
	v.license(t, "create", "--app", "shop", "--customer", "Acme", "-o", "name")
	unreadable := harness.WriteFile(t, filepath.Join(t.TempDir(), "file"), nil)
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no such license", []string{"show", "nobody", "--dir", v.dir}, 1, `there is no license "nobody" in ` + v.dir},
		{"a taken name", []string{"create", "acme", "--app", "shop", "--customer", "Acme", "--dir", v.dir}, 1, `there is a license "acme" in ` + v.dir + " already"},
		{"a wrong name", []string{"create", "A_B", "--app", "shop", "--customer", "Acme", "--dir", v.dir}, 2, `NAME "A_B" is not the name of an object`},
		{"no date", []string{"extend", "acme", "--expires", "soon", "--dir", v.dir}, 2, `--expires "soon": write a span of time`},
		{"no such directory", []string{"list", "--dir", filepath.Join(v.dir, "none")}, 1, "read the licenses' directory: open "},
		{"no directory", []string{"list", "--dir", unreadable}, 1, "read the licenses' directory: "},
		{"nobody to ask", []string{"delete", "acme", "--dir", v.dir}, 1, "nobody answered; say --yes"},
		{"no cluster", []string{"list", "--kubeconfig", filepath.Join(v.dir, "none")}, 1, "read the kubeconfig: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errOut := v.try(t, "", plugin(), append([]string{"license"}, tt.args...)...)
			line := strings.TrimPrefix(errOut, `Delete license acme of "Acme" for shop in `+v.dir+"? [y/N] \n")
			if code != tt.code || out != "" || !strings.HasPrefix(line, "kubectl lsp: ") || !strings.Contains(line, tt.want) || strings.Count(line, "\n") != 1 {
				t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s(want %s)", code, tt.code, out, errOut, tt.want)
			}
		})
	}
	if got := v.license(t, "list", "-o", "name"); got != "license.imageproxy.apps.tanzu.vmware.com/acme\n" {
		t.Errorf("licenses %s", got)
	}
}
