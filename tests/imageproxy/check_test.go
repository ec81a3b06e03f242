// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// checked is a line of "check --output json".
type checked struct{ Name, Object, Status, Detail, Remedy string }

func (c checked) String() string {
	return fmt.Sprintf("%s %s %s: %s -> %s", c.Status, c.Name, c.Object, c.Detail, c.Remedy)
}

// check runs the command on the vendor's directory. No secret may be in what it prints.
func (v *vendor) check(flags ...string) (code int, lines []checked) {
	v.t.Helper()
	args := append([]string{"check", "--output=json", "--image-proxy-dir=" + v.dir}, flags...)
	process := harness.StartProcess(v.t, "local-source-proxy", harness.Command(args...))
	code = process.Wait(v.t)
	stdout, stderr := process.Stdout.String(), process.Stderr.String()
	for _, secret := range append(v.ids, harness.Password, "mistyped") {
		if strings.Contains(stdout+stderr, secret) {
			v.t.Errorf("the output holds %q", secret)
		}
	}
	for line := range strings.Lines(stdout) {
		var one checked
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			v.t.Fatalf("a line is not JSON: %v: %s", err, line)
		}
		lines = append(lines, one)
	}
	return code, lines
}

// TestCheckOfImages: with real registries, each is asked and each image pulled; one mistake makes it fail, is
// named, and hides none of the others.
func TestCheckOfImages(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	v.license("acme")
	var images []string
	for alias := range v.registries {
		v.pushed(alias, "v1")
		images = append(images, "--image=proxy.example.com/"+name(alias)+":v1")
	}
	code, lines := v.check(images...)
	for _, want := range []string{"object", "dns", "tcp", "ping", "token", "pull"} {
		if n := len(slices.DeleteFunc(slices.Clone(lines), func(c checked) bool { return c.Name != want })); n < 3 {
			t.Errorf("%d lines %q, want one for each registry", n, want)
		}
	}
	if code != 0 || slices.ContainsFunc(lines, func(c checked) bool { return c.Status == "failed" }) {
		t.Errorf("exit code %d: %v", code, lines)
	}
	for _, alias := range []string{"private", "legacy"} {
		harness.WriteFile(t, filepath.Join(v.dir, alias+".json"), harness.DockerConfig(t, v.registries[alias].Host, harness.Username, "mistyped"))
	}
	code, lines = v.check(images...)
	var failed []checked
	for _, each := range lines {
		if each.Status == "failed" {
			failed = append(failed, each)
		}
	}
	if code != 1 || len(failed) != 2 {
		t.Errorf("exit code %d, want 1 and two lines: %v", code, failed)
	}
	for _, each := range failed {
		if each.Name != "token" || !strings.Contains(each.Remedy, ".json") {
			t.Errorf("%v", each)
		}
	}
	if code, lines := v.check("--image=A b"); code != 2 || len(lines) > 0 {
		t.Errorf("exit code %d of a name that is none: %v", code, lines)
	}
}
