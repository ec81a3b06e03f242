// SPDX-License-Identifier: Apache-2.0

package command

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// krewPlugin is what krew reads of a manifest (krew.googlecontainertools.github.com/v1alpha2).
type krewPlugin struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string `json:"version"`
		Homepage         string `json:"homepage"`
		ShortDescription string `json:"shortDescription"`
		Description      string `json:"description"`
		Caveats          string `json:"caveats"`
		Platforms        []struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
			URI    string `json:"uri"`
			SHA256 string `json:"sha256"`
			Bin    string `json:"bin"`
		} `json:"platforms"`
	} `json:"spec"`
}

// TestKrewManifest holds what krew's index demands, and that the program's packages exist for every platform
// that the manifest offers.
func TestKrewManifest(t *testing.T) {
	raw, err := os.ReadFile("../../../cmd/kubectl-lsp/krew.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var plugin krewPlugin
	if err := yaml.UnmarshalStrict(raw, &plugin); err != nil {
		t.Fatal(err)
	}
	if plugin.Metadata.Name != "lsp" || plugin.Kind != "Plugin" || plugin.Spec.Version != "vVERSION" || !strings.HasPrefix(plugin.APIVersion, "krew.") {
		t.Errorf("manifest %+v", plugin)
	}
	if short := plugin.Spec.ShortDescription; len(short) > 50 || strings.HasSuffix(short, ".") {
		t.Errorf("short description of %d letters %q: at most 50, no full stop", len(short), short)
	}
	seen := map[string]bool{}
	for _, p := range plugin.Spec.Platforms {
		goos, arch := p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]
		platform := goos + "-" + arch
		want := "kubectl-lsp"
		if goos == "windows" {
			want += ".exe"
		}
		if seen[platform] || p.SHA256 != "SHA256-"+platform || p.Bin != want || !regexp.MustCompile(`^URL/kubectl-lsp-`+platform+`\.tar\.gz$`).MatchString(p.URI) {
			t.Errorf("platform %s: %+v", platform, p)
		}
		seen[platform] = true
		// Listing the packages evaluates all build constraints and imports, which a compilation would do at
		// much greater cost.
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Error}}{{.}}{{end}}", ".")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0")
		// On standard error it tells, too, which modules it downloads.
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "" {
			t.Errorf("platform %s: %v\n%s%s", platform, err, out, stderr.String())
		}
	}
	if len(seen) < 5 {
		t.Errorf("platforms %v", seen)
	}
}
