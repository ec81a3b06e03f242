// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// directory reads objects from the YAML files of a directory.
type directory struct {
	path string

	mu    sync.Mutex
	files map[string]*file // by path
	// fault is why the directory cannot be read, while that is so.
	fault error
}

func newDirectory(path string) *directory { return &directory{path: path, files: map[string]*file{}} }

// run implements [source].
func (d *directory) run(ctx context.Context, changed func()) error {
	if _, err := os.ReadDir(d.path); err != nil {
		return fmt.Errorf("read objects: %w: make the directory, or name another one", err)
	}
	return filewatch.Dir(ctx, d.path, isYAML, func(files map[string]filewatch.File) {
		d.take(files)
		changed()
	})
}

// isYAML leaves out hidden files, which are an editor's.
func isYAML(name string) bool {
	extension := filepath.Ext(name)
	return (extension == ".yml" || extension == ".yaml") && !strings.HasPrefix(name, ".")
}

// credential implements [source].
func (d *directory) credential(ctx context.Context, path string, deliver deliver) {
	err := filewatch.Watch(ctx, []string{path}, func(read map[string]filewatch.File) {
		found := read[path]
		if errors.Is(found.Err, fs.ErrNotExist) {
			found.Err = filewatch.Missing(fmt.Errorf("%s does not exist: write it with docker login, or mend dockerConfigFile", path))
		}
		deliver(path, found.Data, found.Err)
	})
	if err != nil {
		deliver(path, nil, err)
	}
}

// take reads the files that have changed.
func (d *directory) take(files map[string]filewatch.File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = nil
	for path, content := range files {
		delete(files, path) // its content is not needed twice
		before := cmp.Or(d.files[path], &file{})
		switch {
		case path == d.path:
			d.fault = fmt.Errorf("the directory cannot be read, what was read last stays in force: %w", content.Err)
		case errors.Is(content.Err, fs.ErrNotExist):
			delete(d.files, path)
		case content.Err != nil:
			unread := *before
			unread.fault = fault{content.Err.Error(), len(before.items) > 0}
			d.files[path] = &unread
		default:
			d.files[path] = before.next(path, content)
		}
	}
}

// current implements [source]. What was written last comes last: by full seconds, as a mounted ConfigMap's
// files are written in any order, and then by name.
func (d *directory) current() reading {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := reading{faults: map[string]fault{}, complete: true}
	if d.fault != nil {
		now.faults[d.path] = fault{d.fault.Error(), len(d.files) > 0}
	}
	paths := make([]string, 0, len(d.files))
	for path := range d.files {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(cmp.Compare(d.files[a].modified.Unix(), d.files[b].modified.Unix()), cmp.Compare(a, b))
	})
	for _, path := range paths {
		f := d.files[path]
		for _, each := range f.items {
			now.objects = append(now.objects, each.object)
		}
		if f.fault.problem != "" {
			now.faults[path] = f.fault
		}
	}
	return now
}

// file is what is known of one.
type file struct {
	modified time.Time
	items    []item
	fault    fault
	// reads counts how often the file was read.
	reads int
	// nameless are documents of which it is not known which object they are, and the reading that saw each
	// first.
	nameless map[digest]int
}

// item is an object of a file, with the digest of its document and the reading that saw it last.
type item struct {
	*object
	digest digest
	read   int
}

// digest tells the texts of documents apart.
type digest = [sha256.Size]byte

// next reads a file again. An object that is missing is gone, unless it may be the one in a document that has
// become unreadable since: what is not valid changes nothing. A valid document that is the same is not read
// again.
func (f *file) next(path string, content filewatch.File) *file {
	now := &file{modified: content.Modified, reads: f.reads + 1}
	valid, seen := map[digest]*object{}, map[id]bool{}
	for _, before := range f.items {
		if before.problem == "" {
			valid[before.digest] = before.object
		}
	}
	var problems []error
	newest := 0 // the reading that saw the newest nameless document first
	for _, document := range v1alpha1.Split(path, content.Data) {
		o, known := valid[document.Sum]
		if !known && !document.Read() {
			continue // there is nothing in it
		}
		if !known {
			o = newDocument(path, &document, content.Modified)
		}
		switch {
		case o == nil:
			newest = max(newest, now.noteNameless(document.Sum, f.nameless))
			problems = append(problems, document.Err)
		case seen[o.id]:
			problems = append(problems, fmt.Errorf("%s: %s %s is there twice: keep one of them", path, o.kind, o.name))
		default:
			seen[o.id] = true
			now.items = append(now.items, item{o, document.Sum, now.reads})
		}
	}
	for _, before := range f.items {
		if !seen[before.id] && newest > before.read {
			now.items, now.fault.kept = append(now.items, before), true
		}
	}
	if err := errors.Join(problems...); err != nil {
		now.fault.problem = inOneLine(err)
	}
	return now
}

// noteNameless takes note of a document, and returns the reading that saw it first.
func (f *file) noteNameless(document digest, before map[digest]int) (first int) {
	if f.nameless == nil {
		f.nameless = map[digest]int{}
	}
	f.nameless[document] = cmp.Or(before[document], f.reads)
	return f.nameless[document]
}

// newDocument returns the object of a document, or nil where it is not known which one it is. Without a
// better time, a license is revoked since its file was written.
func newDocument(path string, document *v1alpha1.Document, modified time.Time) *object {
	document.Validate(v1alpha1.InDirectory)
	if !document.Identified() {
		return nil
	}
	if document.Object == nil {
		return &object{
			id: id{document.Kind, document.Name, path}, problem: inOneLine(document.Err), revoked: document.Revoked,
			revokedAt: modified.Truncate(time.Second).UTC(), text: document.Sum,
		}
	}
	o := newObject(path, document.Object, nil)
	o.text = textOf(document)
	if o.revokedAt.IsZero() {
		o.revokedAt = modified.Truncate(time.Second).UTC()
	}
	if o.registry != nil {
		o.registry.credential = relative(path, o.registry.spec.Credentials.DockerConfigFile)
	}
	return o
}

// textOf tells apart what a valid document says, whatever its form and comments.
func textOf(document *v1alpha1.Document) digest {
	var spec any
	switch o := document.Object.(type) {
	case *v1alpha1.License:
		spec = o.Spec
	case *v1alpha1.ExternalRegistry:
		spec = o.Spec
	}
	text, err := json.Marshal([]any{spec, document.Object.GetAnnotations()[v1alpha1.RevokedAtAnnotation]})
	if err != nil {
		return document.Sum
	}
	return sha256.Sum256(text)
}

// relative is the path of a file that another one names.
func relative(path, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(path), name)
}
