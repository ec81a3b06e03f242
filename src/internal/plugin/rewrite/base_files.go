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
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
)

// files are the manifests below a directory.
type files struct {
	dir       string // as the user wrote it
	manifests []manifest
	kustomize map[string]string // directories with a kustomization, and its name, relative to dir
	leftOut   []string
}

// manifest is a file of YAML documents.
type manifest struct {
	path string // relative to the base, with slashes
	docs []*yaml.Node
	err  error // with the line
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
	return manifest{name, docs, err}, len(content)
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
		objects, other := 0, 0
		for _, doc := range m.docs {
			if value(doc, "apiVersion") != "" && value(doc, "kind") != "" {
				objects++
			} else if other == 0 {
				other = doc.Line
			}
		}
		switch {
		case objects == 0:
			f.leftOut = append(f.leftOut, m.path)
		case other != 0:
			return nil, f.error(m, fmt.Errorf("line %d: a document without apiVersion and kind among Kubernetes objects", other))
		default:
			all = append(all, m.path)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("base %s has no Kubernetes objects", f.dir)
	}
	slices.Sort(all)
	return all, nil
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

// explain says which file cannot be read, when that is why kustomize failed: kustomize itself says so less
// clearly.
func (f *files) explain(err error) error {
	for _, m := range f.manifests {
		if m.err != nil && strings.Contains(err.Error(), filepath.Base(m.path)) {
			return f.error(m, m.err)
		}
	}
	if missing := regexp.MustCompile(`evalsymlink failure on '([^']+)' : lstat [^']*: no such file`).FindStringSubmatch(err.Error()); missing != nil {
		return fmt.Errorf("base %s: a kustomization names %s, which does not exist", f.dir, missing[1])
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
