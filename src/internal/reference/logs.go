// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// logLine is one kind of line: a message with its keys.
type logLine struct {
	levels, message string
	keys            []string
}

// logsPage lists the keys of the server's log, and its lines. The code below internal says which there are.
func logsPage(internal fs.FS) (string, error) {
	lines, err := logLines(internal)
	if err != nil {
		return "", err
	}
	meanings, used := keyMeanings(), map[string]bool{}
	for _, line := range lines {
		for _, key := range line.keys {
			if used[key] = true; meanings[key] == "" {
				return "", fmt.Errorf("the line %q has the key %q: say in keys.go what it means", line.message, key)
			}
		}
	}
	var page strings.Builder
	page.WriteString("# The server's log\n" + note("the code that writes it"))
	page.WriteString("Each line also has `time`, `level` and `msg`. Lines of level DEBUG from Go's HTTP server have no keys.\n")
	page.WriteString("\n## Keys\n\n| key | meaning |\n|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(meanings)) {
		if !used[key] {
			return "", fmt.Errorf("no line has the key %q: take it out of keys.go", key)
		}
		fmt.Fprintf(&page, "| `%s` | %s |\n", key, cell(meanings[key]))
	}
	page.WriteString("\n## Lines\n\n| level | message | keys |\n|---|---|---|\n")
	for _, line := range lines {
		fmt.Fprintf(&page, "| %s | %s | %s |\n", line.levels, cell(line.message), strings.Join(line.keys, ", "))
	}
	return page.String(), nil
}

// logLines finds every line that the server's packages write, in the order of their messages.
func logLines(internal fs.FS) ([]logLine, error) {
	packages := map[string]*source{}
	err := fs.WalkDir(internal, ".", func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && slices.Contains([]string{"plugin", "testkit", "reference"}, name) {
			return fs.SkipDir
		}
		if err != nil || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(internal, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if packages[path.Dir(name)] == nil {
			packages[path.Dir(name)] = &source{name: path.Dir(name)}
		}
		return packages[path.Dir(name)].add(file)
	})
	if err != nil {
		return nil, err
	}
	byMessage := map[string]logLine{}
	for _, p := range packages {
		for _, line := range p.lines() {
			known := byMessage[line.message]
			line.levels = joined(known.levels, line.levels)
			line.keys = slices.Compact(slices.Sorted(slices.Values(append(line.keys, known.keys...))))
			byMessage[line.message] = line
		}
	}
	var lines []logLine
	for _, message := range slices.Sorted(maps.Keys(byMessage)) {
		lines = append(lines, byMessage[message])
	}
	return lines, nil
}

// joined lists levels without repeating any.
func joined(lists ...string) string {
	all := strings.Fields(strings.ReplaceAll(strings.Join(lists, " "), ",", " "))
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// source is the code of one package.
type source struct {
	name      string
	functions []*ast.FuncDecl
}

func (s *source) add(file *ast.File) error {
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
			s.functions = append(s.functions, f)
		}
	}
	return nil
}

// lines are those that the package writes.
func (s *source) lines() []logLine {
	var lines []logLine
	for _, f := range s.functions {
		for call := range callsIn(f.Body) {
			level, message, rest, ok := logCall(call)
			if !ok {
				continue
			}
			line := logLine{levels: level, message: message, keys: append(pairs(rest), keysOfWith(f.Body)...)}
			if level == "" {
				line.levels = levelsIn(f.Body)
			}
			if call.Ellipsis.IsValid() {
				line.keys = append(line.keys, s.collected(f, rest)...)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// collected are the keys that a function puts into a list before it logs: there, in the functions that make the
// list, and in the fields of the same name that are lists.
func (s *source) collected(f *ast.FuncDecl, rest []ast.Expr) []string {
	keys, named := listed(f.Body), map[string]bool{}
	for _, argument := range rest {
		for node := range ast.Preorder(argument) {
			if name, ok := node.(*ast.Ident); ok {
				named[name.Name] = true
			}
		}
	}
	for _, other := range s.functions {
		if named[other.Name.Name] {
			keys = append(keys, listed(other.Body)...)
		}
		for node := range ast.Preorder(other.Body) {
			assigned, ok := node.(*ast.AssignStmt)
			if !ok || len(assigned.Lhs) != 1 {
				continue
			}
			if field, ok := assigned.Lhs[0].(*ast.SelectorExpr); ok && named[field.Sel.Name] {
				keys = append(keys, listed(assigned)...)
			}
		}
	}
	return keys
}
