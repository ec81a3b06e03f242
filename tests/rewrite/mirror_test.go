// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestMirror: everything arrives, the real kubectl builds Pods that pull it from there, a second run moves
// nothing, and no credential strays.
func TestMirror(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	out, said := s.run("", "kubectl", append([]string{"lsp"}, s.args("--to", s.to(), "--pull-secret", "mine", "-n", "shop")...)...)
	s.arrived()
	if !strings.Contains(said, "1 of 1: ") || !strings.HasPrefix(out, "copied") {
		t.Errorf("it says\n%s%s", out, said)
	}
	built, _ := s.run("", "kubectl", "kustomize", "overlays/midstream")
	want := []string{s.gate.host + "/" + s.path() + ":v1", "secret mine"}
	if got := objectsOf(t, built)["Pod p"].images(); !slices.Equal(got, want) {
		t.Errorf("the Pod has %v, want %v", got, want)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("LICENSE_ID:" + licenseID))
	for where, text := range map[string]string{
		"the customer's registry": s.gate.shown.String(), "what is built": built, "what is said": out + said, "the files": fmt.Sprint(s.tree()[s.dir+"/overlays/midstream/kustomization.yaml"]),
	} {
		for _, secret := range []string{licenseID, encoded, base64.StdEncoding.EncodeToString([]byte(licenseID))} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has the license", where)
			}
		}
	}
	if !strings.Contains(s.gate.shown.String(), harness.Password) {
		t.Error("the gate does not see credentials")
	}
	s.gate.take()
	before := s.tree()
	s.run("", "kubectl-lsp", s.args("--to", s.to(), "--pull-secret", "mine", "-n", "shop")...)
	if counts := s.gate.take(); counts["POST"]+counts["PUT"]+counts["PATCH"] > 0 || counts["HEAD"] == 0 {
		t.Errorf("the second run makes %v", counts)
	}
	if !maps.Equal(before, s.tree()) {
		t.Error("the second run changes a file")
	}
}

// start starts the plugin in the background.
func (s *site) start(args ...string) *harness.Process {
	s.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv(programsDir), "kubectl-lsp"), args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return harness.StartProcess(s.T, "kubectl lsp mirror", cmd)
}

// TestMirrorGoesOn after Ctrl-C and after SIGKILL: what is there stays there and is not sent again.
func TestMirrorGoesOn(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			held, release := make(chan struct{}), make(chan struct{})
			s.gate.hold(func(_ context.Context, number int) {
				if number == 4 {
					close(held)
				}
				if number >= 4 {
					<-release
				}
			})
			process := s.start(s.args("--to", s.to(), "--concurrency", "1")...)
			<-held
			process.Signal(t, signal)
			code := process.Wait(t)
			close(release)
			if signal == syscall.SIGINT && (code != 130 || !strings.Contains(process.Stderr.String(), "What was copied stays. Run the same command again to go on.\n")) {
				t.Errorf("exit code %d\n%s", code, process.Stderr)
			}
			if _, err := os.Stat(filepath.Join(s.dir, "overlays")); err == nil {
				t.Error("it wrote a midstream")
			}
			s.gate.hold(nil)
			first := s.gate.take()["PATCH"]
			s.run("", "kubectl-lsp", s.args("--to", s.to())...)
			s.arrived()
			// Each blob is sent once, but for the one that broke off.
			if second := s.gate.take()["PATCH"]; first+second > s.blobs()+1 {
				t.Errorf("%d uploads before and %d after, of %d blobs", first, second, s.blobs())
			}
		})
	}
}

// blobs is how many different ones the vendor has: each image has three layers and a config.
func (s *site) blobs() int { return (2 + 4) * 4 }

// TestMirrorOfARevokedLicense: it ends at once, with the reason in one line, and goes on with a license that
// stands.
func TestMirrorOfARevokedLicense(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.gate.hold(func(ctx context.Context, number int) {
		if number == 3 {
			s.license("revoked: true, ")
			s.untilRefused(ctx)
		}
	})
	out, said, err := s.try("", "kubectl-lsp", s.args("--to", s.to(), "--quiet", "--concurrency", "1")...)
	if err == nil || out != "" || strings.Count(said, "\n") != 1 || !strings.Contains(said, "DENIED: this license was revoked") {
		t.Errorf("%v\n%s%s", err, out, said)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "overlays")); err == nil {
		t.Error("it wrote a midstream")
	}
	s.gate.hold(nil)
	s.license("")
	harness.Eventually(t, "the license is in force", func(ctx context.Context) error {
		if status := s.status(ctx); status != http.StatusOK {
			return fmt.Errorf("is answered %d", status)
		}
		return nil
	})
	s.run("", "kubectl-lsp", s.args("--to", s.to())...)
	s.arrived()
}

func (s *site) untilRefused(ctx context.Context) {
	for ctx.Err() == nil && s.status(ctx) == http.StatusOK {
	}
}

// status is what the image proxy answers the license.
func (s *site) status(ctx context.Context) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.proxy+"/v2/", nil)
	if err != nil {
		return 0
	}
	request.SetBasicAuth("x", licenseID)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// TestMirrorOverAnAirGap: by a file that is there when it is complete, and whose writing goes on after SIGKILL.
func TestMirrorOverAnAirGap(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	whole := s.packed("whole.tar")
	// A file that was cut off stands for a process that was killed.
	cut := filepath.Join(s.dir, "images.tar.partial")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if again := s.packed("images.tar"); !bytes.Equal(again, whole) {
		t.Error("what goes on becomes another file than what is written at once")
	}
	if _, err := os.Stat(cut); err == nil {
		t.Error("what was not complete is still there")
	}
	unpack := []string{"mirror", "--from-tar", "images.tar", "--to", s.to()}
	if err := os.WriteFile(filepath.Join(s.dir, "images.tar"), whole[:len(whole)-2048], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{unpack, append(unpack, "--base", "base")} {
		_, said, err := s.try("", "kubectl-lsp", args...)
		if err == nil || strings.Count(said, "\n") != 1 || !strings.Contains(said, "read the tar images.tar: the file ends too early") {
			t.Errorf("cut off: %v\n%s", err, said)
		}
	}
	if counts := s.gate.take(); len(counts) > 0 {
		t.Errorf("something of it was used: %v", counts)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "images.tar"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("", "kubectl-lsp", append(unpack, "--base", "base")...)
	s.arrived()
	built, _ := s.run("", "kubectl", "kustomize", "overlays/midstream")
	if got := objectsOf(t, built)["Pod p"].images(); !slices.Equal(got, []string{s.gate.host + "/" + s.path() + ":v1"}) {
		t.Errorf("the Pod has %v", got)
	}
	if strings.Contains(string(whole), licenseID) {
		t.Error("the tar has the license")
	}
}

func (s *site) packed(name string) []byte {
	s.Helper()
	s.run("", "kubectl-lsp", s.args("--to-tar", name)...)
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.Fatal(err)
	}
	return content
}
