// SPDX-License-Identifier: Apache-2.0

// Package packaging_test proves the Carvel packages from outside: it renders them with ytt as kapp-controller
// would, publishes them into real registries with the scripts that make calls, and reads what came out. It
// starts no cluster.
package packaging_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	namespace = "tap-local-source-system"
	version   = "0.3.0"
)

// root is the repository's top directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatalf("find the repository: %v", err)
	}
	return dir
}

// tool returns the path of a pinned tool, from LSP_TOOL_<NAME> or built by scripts/tool.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path := os.Getenv("LSP_TOOL_" + strings.ToUpper(name)); path != "" {
		return path
	}
	result := run(t, command{args: []string{filepath.Join(root(t), "scripts/tool"), "--path", name}})
	if result.err != nil {
		t.Fatalf("build %s: %v\n%s", name, result.err, result.stderr)
	}
	return strings.TrimSpace(result.stdout)
}

type command struct {
	dir   string
	env   []string // added to this process's
	stdin string
	args  []string
}

type result struct {
	stdout, stderr string
	err            error
}

func run(t *testing.T, c command) result {
	t.Helper()
	return runContext(t.Context(), c)
}

func runContext(ctx context.Context, c command) result {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return result{stdout.String(), stderr.String(), err}
}

// mustRun returns standard output.
func mustRun(t *testing.T, c command) string {
	t.Helper()
	result := run(t, c)
	if result.err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(c.args, " "), result.err, result.stdout, result.stderr)
	}
	return result.stdout
}

// render runs ytt on a directory of templates with the given values, as kapp-controller does.
func render(t *testing.T, templates, values string) result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatalf("write values: %v", err)
	}
	return run(t, command{args: []string{tool(t, "ytt"), "-f", templates, "--data-values-file", file}})
}

// stage lays out the templates as they go into the bundles, and returns the directory.
func stage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mustRun(t, command{args: []string{filepath.Join(root(t), "scripts/stage.sh"), dir, version}})
	return dir
}

func productTemplates(t *testing.T) string {
	return filepath.Join(stage(t), "local-source-proxy/config")
}

func profileTemplates(t *testing.T) string {
	return filepath.Join(stage(t), "ootb-profiles/config")
}

// object is a Kubernetes object.
type object map[string]any

// at follows keys into maps; nil when one is missing.
func (o object) at(keys ...string) any {
	var value any = map[string]any(o)
	for _, key := range keys {
		mapping, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = mapping[key]
	}
	return value
}

func (o object) text(keys ...string) string {
	text, _ := o.at(keys...).(string)
	return text
}

// id is "namespace/Kind/name".
func (o object) id() string {
	return o.text("metadata", "namespace") + "/" + o.text("kind") + "/" + o.text("metadata", "name")
}

// objects parses what ytt printed.
func objects(t *testing.T, manifests string) []object {
	t.Helper()
	var found []object
	for document := range strings.SplitSeq("\n"+manifests, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("parse %q: %v", document, err)
		}
		if len(o) > 0 {
			found = append(found, o)
		}
	}
	return found
}

// mustRender renders and parses.
func mustRender(t *testing.T, templates, values string) []object {
	t.Helper()
	result := render(t, templates, values)
	if result.err != nil {
		t.Fatalf("ytt: %v\n%s", result.err, result.stderr)
	}
	return objects(t, result.stdout)
}

// find returns the one object with the id.
func find(t *testing.T, all []object, id string) object {
	t.Helper()
	for _, o := range all {
		if o.id() == id {
			return o
		}
	}
	t.Fatalf("%s was not rendered", id)
	return nil
}

func ids(all []object) []string {
	var names []string
	for _, o := range all {
		names = append(names, o.id())
	}
	return names
}

// decode turns a part of an object into a typed value, refusing fields that the type does not have.
func decode[T any](t *testing.T, value any) T {
	t.Helper()
	var typed T
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatalf("marshal %v: %v", value, err)
	}
	if err := yaml.UnmarshalStrict(text, &typed); err != nil {
		t.Fatalf("decode as %T: %v\n%s", typed, err, text)
	}
	return typed
}
