// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// files are the manifests below a directory.
type files struct {
	dir       string // as the user wrote it
	manifests []manifest
	kustomize map[string]string // directories with a kustomization, and its name, relative to dir
	leftOut   []string
	installer []Unapplied // in files that a kustomization for the base does not list
}

// manifest is a file of YAML documents.
type manifest struct {
	path string // relative to the base, with slashes
	text []byte
	docs []*yaml.Node
	err  error // with the line
}

// objects are the documents, and in place of Lists what is in them, as kustomize reads them.
func (m manifest) objects() []*yaml.Node {
	var all []*yaml.Node
	for _, doc := range m.docs {
		items := strictyaml.Value(doc, "items")
		if strings.HasSuffix(value(doc, "kind"), "List") && items != nil && items.Kind == yaml.SequenceNode {
			all = append(all, items.Content...)
			continue
		}
		all = append(all, doc)
	}
	return all
}

// walk reads every YAML and JSON file below a directory, except hidden ones.
func walk(ctx context.Context, dir string) (*files, error) {
	found := &files{dir: dir, kustomize: map[string]string{}}
	left := maxBase
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && relative != "."
		switch info, err := os.Stat(path); {
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || err == nil && info.IsDir():
			return nil
		}
		name := filepath.ToSlash(relative)
		switch {
		case slices.Contains(konfig.RecognizedKustomizationFileNames(), entry.Name()):
			found.kustomize[filepath.ToSlash(filepath.Dir(relative))] = entry.Name()
		case slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name))):
			m, size := read(path, name)
			if left -= size; left < 0 || len(found.manifests) == maxFiles {
				return fmt.Errorf("%s has more than %d manifests, or more than %d MiB of them", dir, maxFiles, maxBase>>20)
			}
			found.manifests = append(found.manifests, m)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the base: %w", err)
	}
	return found, nil
}

// read keeps an error for later: a file that the base's own kustomization does not list need not be readable.
func read(path, name string) (m manifest, size int) {
	content, err := readFile(path)
	if err != nil {
		return manifest{path: name, err: err}, 0
	}
	docs, err := parse(content)
	if line := templateInText(content); err != nil && line > 0 {
		err = notRendered(line)
	}
	return manifest{name, content, docs, err}, len(content)
}

// parse reads YAML documents; empty ones are none.
func parse(content []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var docs []*yaml.Node
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, errors.New(located(err))
		}
		if err := checkDocument(&doc); err != nil {
			return nil, err
		}
		if len(doc.Content) == 1 && doc.Content[0].ShortTag() != "!!null" {
			docs = append(docs, doc.Content[0])
		}
	}
}

// located is what is wrong with a file, and where; the decoder does not say so of the first line.
func located(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if !strings.HasPrefix(text, "line ") {
		return "line 1: " + text
	}
	return text
}

// kustomization is the name of the base's own; empty: it has none.
func (f *files) kustomization() string { return f.kustomize["."] }

// resources are what a kustomization for the base has to list: its files, and directories that have a
// kustomization themselves.
func (f *files) resources() ([]string, error) {
	var all []string
	for dir := range f.kustomize {
		if dir != "." && f.owner(dir) == "" {
			all = append(all, dir)
		}
	}
	for _, m := range f.manifests {
		if f.owner(m.path) != "" {
			continue
		}
		if m.err != nil {
			return nil, f.error(m, m.err)
		}
		listed, err := f.list(m)
		if err != nil {
			return nil, f.error(m, err)
		}
		if listed {
			all = append(all, m.path)
		}
	}
	if err := f.checkAlternatives(all); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, f.nothing()
	}
	slices.Sort(all)
	return all, nil
}

// list reports whether a kustomization for the base has to list a file. Files without Kubernetes objects are
// left out, and files with nothing but what is not applied.
func (f *files) list(m manifest) (bool, error) {
	applied, other := 0, 0
	var aside []Unapplied
	for _, doc := range m.objects() {
		if value(doc, "apiVersion") == "" || value(doc, "kind") == "" {
			if other == 0 {
				other = doc.Line
			}
			continue
		}
		unapplied := notApplied(doc)
		if unapplied == nil {
			applied++
			if line := m.template(doc); line > 0 {
				return false, notRendered(line)
			}
			continue
		}
		aside = append(aside, *unapplied)
	}
	switch {
	case applied+len(aside) == 0:
		f.leftOut = append(f.leftOut, m.path)
		return false, nil
	case other != 0:
		return false, fmt.Errorf("line %d: a document without apiVersion and kind among Kubernetes objects", other)
	case applied == 0:
		f.installer = append(f.installer, aside...)
		return false, nil
	default:
		return true, nil
	}
}

// owner is the directory below the base whose kustomization speaks for a path; empty: none.
func (f *files) owner(path string) string {
	for i, r := range path {
		if r == '/' && f.kustomize[path[:i]] != "" {
			return path[:i]
		}
	}
	return ""
}

func (f *files) error(m manifest, err error) error {
	return fmt.Errorf("%s: %w", filepath.Join(f.dir, filepath.FromSlash(m.path)), err)
}

// explain says which file cannot be read and why, when that is why kustomize failed: kustomize does not tell
// the line.
func (f *files) explain(err error) error {
	for _, m := range f.manifests {
		if !strings.Contains(err.Error(), filepath.Base(m.path)) {
			continue
		}
		if m.err != nil {
			return f.error(m, m.err)
		}
		for _, doc := range m.docs {
			if line := m.template(doc); line > 0 {
				return f.error(m, notRendered(line))
			}
		}
		if strings.Contains(err.Error(), "missing metadata.name") {
			if err := f.nameless(m); err != nil {
				return err
			}
		}
	}
	return err
}

// value is the text of a mapping's key; empty where there is none.
func value(node *yaml.Node, key string) string {
	if node.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key && node.Content[i+1].Kind == yaml.ScalarNode {
			return node.Content[i+1].Value
		}
	}
	return ""
}
