// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// large600 is a base of 600 objects as large applications have them: workloads, custom resources, ConfigMaps
// with texts, and kinds with their schemas.
func large600() string {
	var all strings.Builder
	for i := range 100 {
		namespace := fmt.Sprintf("namespace: ns%d", i%7)
		image := func(name string, n int) string { return fmt.Sprintf("'quay.io/o/%s%d:1'", name, i%n) }
		fmt.Fprintf(&all, "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d%d, %s}\nspec: {template: {spec: {containers: "+
			"[{name: c, image: %s, env: [{name: RELATED_IMAGE_X, value: %s}], args: ['--image=quay.io/o/y:1']}]}}}\n", i, namespace, image("a", 40), image("x", 50))
		fmt.Fprintf(&all, "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r%d, %s}\nspec: {template: {spec: {containers: [{name: c, image: %s}]}}}\n", i, namespace, image("a", 40))
		fmt.Fprintf(&all, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d, %s}\ndata:\n  a: |\n%s", i, namespace, strings.Repeat("    image: quay.io/o/t:1 and words, http://x/y\n", 20))
		fmt.Fprintf(&all, "---\napiVersion: example.com/v1\nkind: Broker\nmetadata: {name: b%d, %s}\nspec: {image: %s, list: [{image: 'quay.io/o/z:1'}]}\n", i, namespace, image("b", 30))
		fmt.Fprintf(&all, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d, %s}\nspec: {ports: [{port: 80}]}\n", i, namespace)
		fmt.Fprintf(&all, "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x%d.example.com}\nspec:\n  schema:\n    properties:\n", i)
		for j := range 150 {
			fmt.Fprintf(&all, "      p%d: {type: string, description: 'what p%d is, see https://example.com/p for more of it'}\n", j, j)
		}
	}
	return all.String()
}

// BenchmarkRewrite is a base of 600 objects from its files to the files of the midstream, built and compared.
func BenchmarkRewrite(b *testing.B) {
	dir := b.TempDir()
	base := filepath.Join(dir, "base")
	writeBase(b, base, map[string]string{"all.yaml": large600()})
	for b.Loop() {
		var files rewrite.Stage
		loaded, err := rewrite.LoadBase(b.Context(), &files, base)
		if err != nil {
			b.Fatal(err)
		}
		plan := rewrite.Plan{
			Base: loaded, Dir: filepath.Join(dir, "midstream"), LicenseID: "x", InText: true,
			Proxy: rewrite.Proxy{Domain: proxyDomain, App: "my-kots-app"},
		}
		plan.AssumeAll()
		if _, err := plan.Stage(&files); err != nil {
			b.Fatal(err)
		}
		if err := plan.Verify(b.Context(), &files); err != nil {
			b.Fatal(err)
		}
		plan.Warnings()
	}
}
