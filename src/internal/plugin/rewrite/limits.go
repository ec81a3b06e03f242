// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.yaml.in/yaml/v3"
)

// What a base may be at most. YAML in memory takes many times its size, and a few hundred bytes of aliases
// can stand for gigabytes.
const (
	maxFile    = 8 << 20  // bytes of one file
	maxBase    = 32 << 20 // bytes of all manifests below the base
	maxFiles   = 10_000   // manifests below the base
	maxAliased = 100_000  // nodes of one document that only its aliases make
)

// readFile reads a file of a base.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err // the caller names the file
	}
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("the file is larger than %d MiB", maxFile>>20)
	}
	return content, err
}

// checkAliases refuses content whose aliases stand for too much. Kustomize writes aliases out. What is no
// YAML is left to whoever reads it.
func checkAliases(content []byte) error {
	if !bytes.ContainsRune(content, '&') || !bytes.ContainsRune(content, '*') {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil {
			return nil //nolint:nilerr // the end, or no YAML
		}
		if err := checkDocument(&doc); err != nil {
			return err
		}
	}
}

func checkDocument(doc *yaml.Node) error {
	a := aliases{sizes: map[*yaml.Node]int{}}
	_, err := a.size(doc)
	return err
}

// aliases counts what the aliases of one document stand for.
type aliases struct {
	sizes map[*yaml.Node]int // of nodes with an anchor; -1 while their content is counted
	extra int                // nodes that only aliases make
}

// size returns the number of nodes, aliases written out. An anchor stands before its aliases, so it has been
// counted by then.
func (a *aliases) size(node *yaml.Node) (int, error) {
	if node.Kind == yaml.AliasNode {
		size := a.sizes[node.Alias]
		if size < 0 {
			return 0, fmt.Errorf("line %d: the alias *%s stands in what it stands for", node.Line, node.Value)
		}
		if a.extra += size; a.extra > maxAliased {
			return 0, fmt.Errorf("line %d: aliases make more than %d nodes of it; write it without them", node.Line, maxAliased)
		}
		return size, nil
	}
	if node.Anchor != "" {
		a.sizes[node] = -1
	}
	total := 1
	for _, child := range node.Content {
		size, err := a.size(child)
		if err != nil {
			return 0, err
		}
		total += size
	}
	if node.Anchor != "" {
		a.sizes[node] = total
	}
	return total, nil
}
