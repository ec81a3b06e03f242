// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// database writes a vulnerability database with an entry for each function of a module, by its number, and returns
// its URL. Its form is that of https://go.dev/doc/security/vuln/database.
func database(t *testing.T, module string, functions map[string]string) string {
	t.Helper()
	const modified = "2026-11-01T00:00:00Z"
	dir := t.TempDir()
	write := func(name string, content any) {
		text, err := json.Marshal(content)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), text, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []any
	for id, function := range functions {
		all = append(all, map[string]any{"id": id, "modified": modified})
		write("ID/"+id+".json", map[string]any{
			"schema_version": "1.3.1", "id": id, "modified": modified, "published": modified, "summary": "It is broken",
			"database_specific": map[string]any{"url": "https://vulnerabilities.example/" + id},
			"affected": []any{map[string]any{
				"package":            map[string]any{"name": module, "ecosystem": "Go"},
				"ranges":             []any{map[string]any{"type": "SEMVER", "events": []any{map[string]any{"introduced": "0"}}}},
				"ecosystem_specific": map[string]any{"imports": []any{map[string]any{"path": module, "symbols": []string{function}}}},
			}},
		})
	}
	write("index/db.json", map[string]any{"modified": modified})
	write("index/modules.json", []any{map[string]any{"path": module, "vulns": all}})
	write("index/vulns.json", all)
	return "file://" + dir
}

// TestVulncheck: a vulnerability of what the programs call fails the check and is named, one of what they do not call
// is not. A database that does not answer is not taken for a good one.
func TestVulncheck(t *testing.T) {
	t.Parallel()
	check := func(url string) result {
		return run(t, command{args: []string{filepath.Join(root(t), "scripts/vulncheck.sh")}, env: []string{"VULNDB=" + url}})
	}
	got := check(database(t, "github.com/spf13/cobra", map[string]string{"GO-2026-0001": "Command.ExecuteContextC", "GO-2026-0002": "AppendActiveHelp"}))
	if got.err == nil || !strings.Contains(got.stdout, "GO-2026-0001") || !strings.Contains(got.stderr, "name what to update") ||
		strings.Contains(got.stdout, "GO-2026-0002") {
		t.Errorf("what the programs call, and what they do not: %v\n%s%s", got.err, got.stdout, got.stderr)
	}
	if got := check("file://" + filepath.Join(t.TempDir(), "nothing")); got.err == nil || !strings.Contains(got.stderr, "nothing was checked") {
		t.Errorf("no database: %v\n%s%s", got.err, got.stdout, got.stderr)
	}
}
