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
	// valid are the documents that need not be read again as long as they are the same.
	valid map[[sha256.Size]byte]key
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
	now := file{reads: f.reads + 1, objects: map[key]int{}, valid: map[[sha256.Size]byte]key{}, strays: map[[sha256.Size]byte]int{}}
	newest := 0 // when the newest stray came
	var problems []error
	for i, document := range imageproxy.Split(path, content.Data) {
		r, ok := f.report(path, &document)
		switch _, twice := now.objects[r.key]; {
		case !ok && document.Err == nil: // nothing in it
		case !ok:
			since, known := f.strays[document.Sum]
			if !known {
				since = now.reads
			}
			now.strays[document.Sum], newest = since, max(newest, since)
			problems = append(problems, document.Err)
		case twice:
			problems = append(problems, fmt.Errorf("%s: %s %s is there twice: keep one of them", path, r.key.kind, r.key.name))
		default:
			if r.problem == nil {
				now.valid[document.Sum] = r.key
			}
			if r.position = i; r.revokedAt.IsZero() {
				r.revokedAt = content.Modified
			}
			now.objects[r.key] = now.reads
			reports = append(reports, r)
		}
	}
	for each, seen := range f.objects {
		if _, there := now.objects[each]; there {
			continue
		}
		if newest > seen {
			now.objects[each] = seen
			continue
		}
		reports = append(reports, report{key: each, gone: true})
	}
	*f = now
	return reports, errors.Join(problems...)
}

// report makes a report of a document, unless it cannot be told which object it is. What is the same as before is not read again.
func (f *file) report(path string, document *imageproxy.Document) (r report, ok bool) {
	if known, same := f.valid[document.Sum]; same {
		return report{key: known, same: true}, true
	}
	if !document.Read() {
		return report{}, false
	}
	document.Validate(imageproxy.InDirectory)
	return describe(path, document), document.Identified()
}

// describe makes a report of a document of which it is known which object it is.
func describe(path string, document *imageproxy.Document) report {
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
