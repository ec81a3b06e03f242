// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// directory reads objects from the YAML files of a directory.
type directory struct {
	path  string
	files map[string]*file // by path
}

// file is what is known of one.
type file struct {
	reads   int
	objects map[key]sight
	// strays are documents of which it cannot be told which object they are, and when each was first read.
	strays map[sum]int
}

// sight is when an object was last read, at which place of the file, and in which document, if it was valid.
type sight struct {
	read     int
	position int32
	sum      sum
}

// sum is enough of a digest to tell documents apart that nobody forges: they are the author's own.
type sum [16]byte

func sumOf(d *v1alpha1.Document) sum { return sum(d.Sum[:16]) }

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

// read gives what is new in files, and what is wrong with places in which no object can be told, without an error: nothing any more.
func (d *directory) read(files map[string]filewatch.File) (reports []report, strays map[string]stray) {
	strays = map[string]stray{d.path: {}}
	for path, content := range files {
		delete(files, path) // its content is not needed twice
		known := d.files[path]
		if known == nil {
			known = &file{}
		}
		switch {
		case path == d.path:
			err := fmt.Errorf("the directory cannot be read, what was read last stays in force: %w", content.Err)
			strays[path] = stray{err: err, kept: len(d.files) > 0}
		case errors.Is(content.Err, fs.ErrNotExist):
			for each := range known.objects {
				reports = append(reports, report{key: each, gone: true})
			}
			strays[path] = stray{}
			delete(d.files, path)
		case content.Err != nil:
			strays[path] = stray{err: content.Err, kept: len(known.objects) > 0}
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
func (f *file) read(path string, content filewatch.File) (reports []report, wrong stray) {
	now := file{reads: f.reads + 1, objects: make(map[key]sight, len(f.objects)), strays: map[sum]int{}}
	valid := make(map[sum]key, len(f.objects))
	for k, s := range f.objects {
		valid[s.sum] = k
	}
	delete(valid, sum{})
	newest := 0 // when the newest stray came
	kept := false
	var problems []error
	for i, document := range v1alpha1.Split(path, content.Data) {
		seen := sight{now.reads, int32(i), sumOf(&document)}
		r, ok := reportOf(path, &document, valid)
		switch _, twice := now.objects[r.key]; {
		case !ok && document.Err == nil: // nothing in it
		case !ok:
			since, known := f.strays[seen.sum]
			if !known {
				since = now.reads
			}
			now.strays[seen.sum], newest = since, max(newest, since)
			problems = append(problems, document.Err)
		case twice:
			problems = append(problems, fmt.Errorf("%s: %s %s is there twice: keep one of them", path, r.key.kind(), r.key.name))
		default:
			if r.problem != nil {
				seen.sum = sum{}
			}
			if r.position = seen.position; r.revokedAt == 0 {
				r.revokedAt = content.Modified.Unix()
			}
			now.objects[r.key] = seen
			if !r.same || f.objects[r.key].position != seen.position {
				reports = append(reports, r)
			}
		}
	}
	for k, seen := range f.objects {
		if _, there := now.objects[k]; there {
			continue
		}
		if newest > seen.read {
			now.objects[k], kept = sight{read: seen.read, position: seen.position}, true
			continue
		}
		reports = append(reports, report{key: k, gone: true})
	}
	*f = now
	return reports, stray{err: errors.Join(problems...), kept: kept}
}

// reportOf makes a report of a document, unless it cannot be told which object it is. One that is the same as before is not read again.
func reportOf(path string, document *v1alpha1.Document, valid map[sum]key) (r report, ok bool) {
	if known, same := valid[sumOf(document)]; same {
		return report{key: known, same: true}, true
	}
	if !document.Read() {
		return report{}, false
	}
	document.Validate(v1alpha1.InDirectory)
	return describe(path, document), document.Identified()
}

// describe makes a report of a document of which it is known which object it is.
func describe(path string, document *v1alpha1.Document) report {
	if document.Object == nil {
		return report{key: newKey(path, document.Kind, document.Name), state: state{problem: document.Err, revoked: document.Revoked}}
	}
	r := read(path, document.Object, nil)
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
