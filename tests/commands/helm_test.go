// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestHelm: push and pull. Helm names the repository after the chart, and at the source proxy the only
// name is source, so that the chart is called source; a customer pulls it from the name that the registry
// has.
func TestHelm(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, p *place, pushing, pulling way) {
		helm := harness.Tool(t, "helm")
		version := "0.1.0-" + pushing.tag()
		m := p.machine(t, map[string][]byte{
			"source/Chart.yaml":             []byte("apiVersion: v2\nname: source\nversion: " + version + "\n"),
			"source/templates/example.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: example}\n"),
		})
		_, home := m.run(t, helm, "package", "source")
		chart := "source-" + version + ".tgz"
		packed := read(t, home, chart)
		m.files[chart] = packed
		m.run(t, helm, "push", chart, "oci://"+pushing.host(), "--plain-http")
		m.files["pulled/.keep"] = nil
		for _, w := range []way{pushing, pulling} {
			_, home := m.run(t, helm, "pull", "oci://"+w.repository, "--version", version, "--plain-http",
				"--destination=pulled")
			found, err := filepath.Glob(filepath.Join(home, "pulled", "*.tgz"))
			if err != nil || len(found) != 1 {
				t.Fatalf("%s: helm pull wrote %v, %v", w.name, found, err)
			}
			if !bytes.Equal(read(t, "", found[0]), packed) {
				t.Errorf("%s: helm pull wrote another chart", w.name)
			}
		}

		// Another name needs allow_sub_repositories, and a place below source.
		m.files["other/Chart.yaml"] = []byte("apiVersion: v2\nname: other\nversion: " + version + "\n")
		_, home = m.run(t, helm, "package", "other")
		other := "other-" + version + ".tgz"
		m.files[other] = read(t, home, other)
		if _, _, err := m.try(t, helm, "push", other, "oci://"+pushing.host(), "--plain-http"); err == nil {
			t.Error("a chart of another name was taken")
		}
		m.run(t, helm, "push", other, "oci://"+pushing.repository, "--plain-http")
		_, home = m.run(t, helm, "pull", "oci://"+pulling.repository+"/other", "--version", version, "--plain-http")
		if !bytes.Equal(read(t, home, other), m.files[other]) {
			t.Error("helm pull wrote another chart than the one below source")
		}
	})
}
