// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The generated clients and their scheme cost 9 MiB of resident memory; the tests of this package may have
// them.
func TestImportsNoGeneratedClient(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("list the dependencies: %v", err)
	}
	imports := strings.Fields(string(out))
	if !slices.Contains(imports, "k8s.io/client-go/rest") {
		t.Fatalf("a list without the REST client is no list:\n%s", out)
	}
	for _, path := range imports {
		if strings.HasPrefix(path, "k8s.io/client-go/kubernetes") {
			t.Errorf("depends on %s", path)
		}
	}
}
