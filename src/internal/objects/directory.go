// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/filewatch"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
)

// directory reads objects from the YAML files of a directory.
type directory struct {
	path  string
	files map[string]*file // by path
}

// file is what is known of one.
type file struct {
	reads   int
	objects map[key]int // when each was last read
	// strays are documents of which it cannot be told which object they are, and when each was first read.
	strays map[[sha256.Size]byte]int
}

func newDirectory(path string) *directory { return &directory{path: path, files: map[string]*file{}} }

// run implements [source].
func (d *directory) run(ctx context.Context, s *set, changed func()) error {
	if _, err := os.ReadDir(d.path); err != nil {
		return fmt.Errorf("read objects: %w: make the directory, or name another one", err)
	}
	return filewatch.Dir(ctx, d.path, isYAML, func(read map[string]filewatch.File) {
		reports, strays := d.read(read)
		s.update(reports...)
		s.stray(strays)
		changed()
	})
}

// credentials implements [source].
func (d *directory) credentials(to deliver) reader { return &files{deliver: to} }

// isYAML leaves out hidden files, which are an editor's.
func isYAML(name string) bool {
	extension := filepath.Ext(name)
	return (extension == ".yml" || extension == ".yaml") && !strings.HasPrefix(name, ".")
}

// read gives what is new in files, and what is wrong with places in which no object can be told; nil: nothing any more.
func (d *directory) read(files map[string]filewatch.File) (reports []report, strays map[string]error) {
	strays = map[string]error{d.path: nil}
	for path, content := range files {
		known := d.files[path]
		if known == nil {
			known = &file{}
		}
		switch {
		case path == d.path:
			strays[path] = fmt.Errorf("the directory cannot be read, what was read last stays in force: %w", content.Err)
		case errors.Is(content.Err, fs.ErrNotExist):
			for each := range known.objects {
				reports = append(reports, report{key: each, gone: true})
			}
			strays[path] = nil
			delete(d.files, path)
		case content.Err != nil:
			strays[path] = content.Err
		default:
			var found []report
			found, strays[path] = known.read(path, content)
			reports = append(reports, found...)
			d.files[path] = known
		}
	}
	return reports, strays
}

// read compares a file with what it held. An object that is missing is gone, unless it may be the one in a document that has become
// unreadable since: what is not valid changes nothing.
func (f *file) read(path string, content filewatch.File) (reports []report, stray error) {
	f.reads++
	objects, strays := map[key]int{}, map[[sha256.Size]byte]int{}
	newest := 0 // when the newest stray came
	var problems []error
	for i, document := range imageproxy.Documents(path, content.Data) {
		document.Validate(imageproxy.InDirectory)
		if !document.Identified() {
			since, known := f.strays[document.Sum]
			if !known {
				since = f.reads
			}
			strays[document.Sum], newest = since, max(newest, since)
			problems = append(problems, document.Err)
			continue
		}
		r := describe(path, document)
		if _, twice := objects[r.key]; twice {
			problems = append(problems, fmt.Errorf("%s: %s %s is there twice: keep one of them", path, document.Kind, document.Name))
			continue
		}
		objects[r.key], r.position = f.reads, i
		if r.revoked && r.revokedAt.IsZero() {
			r.revokedAt = content.Modified
		}
		reports = append(reports, r)
	}
	for each, seen := range f.objects {
		if _, there := objects[each]; there {
			continue
		}
		if newest > seen {
			objects[each] = seen
			continue
		}
		reports = append(reports, report{key: each, gone: true})
	}
	f.objects, f.strays = objects, strays
	return reports, errors.Join(problems...)
}

// describe makes a report of a document of which it is known which object it is.
func describe(path string, document imageproxy.Document) report {
	r := report{revoked: document.Revoked}
	if document.Object != nil {
		r = read(document.Object, nil)
	}
	r.key, r.problem = key{place: path, kind: document.Kind, name: document.Name}, document.Err
	if r.registry != nil {
		r.registry.credential = relative(path, r.registry.spec.Credentials.DockerConfigFile)
	}
	return r
}

// relative is the path of a file that another one names.
func relative(path, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(path), name)
}
