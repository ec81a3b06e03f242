// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	header = `| suite | registry | straight | source proxy | kubectl lsp registry | reading: straight | image proxy |
|---|---|---|---|---|---|---|
`
	// begin and end are around the table in tests/README.md.
	begin = "<!-- conformance: begin, kept by make conformance-test TESTFLAGS=-update -->\n"
	end   = "<!-- conformance: end -->\n"
)

var update = flag.Bool("update", false, "write the table into tests/README.md")

// compareTable holds the table in tests/README.md, or writes it.
func compareTable(t *testing.T, table string) {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "tests", "README.md")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(content), begin)
	written, after, closed := strings.Cut(rest, end)
	switch {
	case !opened || !closed:
		t.Fatalf("%s has no place for the table", file)
	case written == table:
	case *update:
		if err := os.WriteFile(file, []byte(before+begin+table+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s says otherwise: make conformance-test TESTFLAGS=-update", file)
	}
}
