// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestANewFileTakesNothingAway: a copied license, or a copied registry, in a file that sorts first does not
// put the one in force out of force, neither at once nor after a restart.
func TestANewFileTakesNothingAway(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	zeta := v.license("zeta")
	v.pushed("private", "v1")
	dayBefore := time.Now().Add(-24 * time.Hour)
	for _, name := range []string{"license-zeta.yml", "private.yml"} {
		if err := os.Chtimes(filepath.Join(v.dir, name), dayBefore, dayBefore); err != nil {
			t.Fatal(err)
		}
	}
	server := v.serve()
	get(t, server, "private", "/manifests/v1", zeta.auth()).Want(t, http.StatusOK)
	copied := &license{vendor: v, customer: "alpha", id: zeta.id}
	copied.write("")
	harness.WriteFile(t, filepath.Join(v.dir, "a.yml"), []byte("apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\n"+
		"kind: ExternalRegistry\nmetadata: {name: a}\nspec: {hostname: unknown.example, alias: private}\n"))
	marker := v.license("marker")
	untilStatus(t, server, "/manifests/v1", marker.auth(), http.StatusOK)
	for _, each := range []*harness.Server{server, v.serve()} {
		get(t, each, "private", "/manifests/v1", zeta.auth()).Want(t, http.StatusOK)
		harness.Eventually(t, "the license is zeta's", func(context.Context) error {
			var customers []any
			for _, line := range each.Stderr.Records("pull") {
				customers = append(customers, line["customer"])
			}
			if !slices.Contains(customers, any("zeta")) || slices.Contains(customers, any("alpha")) {
				return fmt.Errorf("the log has pulls of %v", customers)
			}
			return nil
		})
		if lines := each.Stderr.Records("object not usable"); len(lines) != 2 {
			t.Errorf("the vendor is told of %v", lines)
		}
	}
}
