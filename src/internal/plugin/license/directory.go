// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/retry"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// Directory keeps licenses in the YAML files that the server reads outside of a cluster. A new one gets a
// file of its own; one that is there is changed in its file, where comments, order and other documents stay.
type Directory struct {
	path string
	warn func(error)
}

// NewDirectory makes a store of a directory. What is wrong with documents that were not asked for goes to
// warn.
func NewDirectory(path string, warn func(error)) *Directory {
	return &Directory{path: path, warn: warn}
}

// found is a license and the file that it is in.
type found struct {
	v1alpha1.Document
	license *v1alpha1.License
	file    string
	data    []byte // of the whole file
}

// errStale says that a file changed while it was being edited.
var errStale = errors.New("the file changed meanwhile")

// List implements [Store].
func (d *Directory) List(context.Context) ([]v1alpha1.License, error) {
	documents, err := d.read()
	if err != nil {
		return nil, err
	}
	all := []v1alpha1.License{}
	taken := owners{names: map[string]string{}, ids: map[string]string{}}
	for _, each := range documents {
		if each.Err != nil {
			d.warn(each.Err)
			continue
		}
		if err := taken.add(each); err != nil {
			d.warn(err)
			continue
		}
		all = append(all, *each.license)
	}
	slices.SortStableFunc(all, func(a, b v1alpha1.License) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// owners are the licenses that come first with a name or an id: the server lets no other have it.
type owners struct {
	names map[string]string // the file of a name
	ids   map[string]string // the license of an id's hash
}

func (o owners) add(f found) error {
	name := f.license.Name
	if file, twice := o.names[name]; twice {
		return fmt.Errorf("%s: license %s is in %s already, which comes first: choose another name", f.file, name, file)
	}
	for _, c := range f.license.Spec.Credentials {
		if owner, twice := o.ids[c.SHA256]; twice {
			return fmt.Errorf("%s: license %s: the id of %q belongs to license %s, which comes first: make another id",
				f.file, name, c.Name, owner)
		}
	}
	o.names[name] = f.file
	for _, c := range f.license.Spec.Credentials {
		o.ids[c.SHA256] = name
	}
	return nil
}

// Get implements [Store].
func (d *Directory) Get(_ context.Context, name string) (*v1alpha1.License, error) {
	f, err := d.find(name)
	if err != nil {
		return nil, err
	}
	return f.license, f.mistake()
}

// Create implements [Store].
func (d *Directory) Create(_ context.Context, l *v1alpha1.License) (*v1alpha1.License, error) {
	documents, err := d.read()
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(documents, func(f found) bool { return f.Name == l.Name }) {
		return nil, &ExistsError{Name: l.Name, Place: d.path}
	}
	text, err := v1alpha1.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("create license %s: %w", l.Name, err)
	}
	file := filepath.Join(d.path, "license-"+l.Name+".yml")
	if err := createFile(file, text); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create license %s: there is a file %s already; move it away, or choose another name", l.Name, file)
		}
		return nil, fmt.Errorf("create license %s: %w", l.Name, err)
	}
	return l, nil
}

// Update implements [Store].
func (d *Directory) Update(
	_ context.Context, name string, change func(*v1alpha1.License) error,
) (*v1alpha1.License, error) {
	var after *v1alpha1.License
	err := d.again(name, func(f *found) error {
		if err := f.mistake(); err != nil {
			return err
		}
		after = f.license.DeepCopy()
		if err := change(after); err != nil || equality.Semantic.DeepEqual(f.license, after) {
			return err
		}
		return f.put(edit(f.text(), f.license, after))
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// Revoke implements [Store].
func (d *Directory) Revoke(ctx context.Context, name string, now time.Time) (*v1alpha1.License, error) {
	l, err := d.Update(ctx, name, func(l *v1alpha1.License) error { Revoke(l, now); return nil })
	mistake, ok := errors.AsType[*MistakeError](err)
	if !ok {
		return l, err
	}
	l = mistake.revoked(now)
	return l, d.again(name, func(f *found) error {
		if f.Revoked {
			return nil
		}
		return f.put(withdraw(f.text(), l))
	})
}

// again does something with a license, until nobody else was faster.
func (d *Directory) again(name string, do func(*found) error) error {
	return retry.OnError(retry.DefaultRetry, func(err error) bool { return errors.Is(err, errStale) }, func() error {
		f, err := d.find(name)
		if err != nil {
			return err
		}
		return do(f)
	})
}

// Delete implements [Store]. A file in which nothing else is goes too.
func (d *Directory) Delete(_ context.Context, name string) error {
	return d.again(name, func(f *found) error {
		rest := slices.Concat(f.data[:f.Start], f.data[f.End:])
		if len(v1alpha1.Documents(f.file, rest)) > 0 {
			return f.write(rest)
		}
		if err := os.Remove(f.file); err != nil {
			return fmt.Errorf("delete license %s: %w", name, err)
		}
		return nil
	})
}

// text is that of the document.
func (f *found) text() []byte { return f.data[f.Start:f.End] }

// mistake is what keeps the license from being read; nil: nothing.
func (f *found) mistake() error {
	if f.Err == nil {
		return nil
	}
	return &MistakeError{f.Name, f.Err}
}

// put replaces the document in its file by what an edit made of it.
func (f *found) put(part []byte, err error) error {
	if err != nil {
		return fmt.Errorf("change license %s in %s: %w", f.Name, f.file, err)
	}
	return f.write(slices.Concat(f.data[:f.Start], part, f.data[f.End:]))
}

// write replaces the file, unless it is no longer what was read.
func (f *found) write(data []byte) error {
	switch now, err := os.ReadFile(f.file); {
	case err != nil:
		return fmt.Errorf("change license %s: %w", f.Name, err)
	case !bytes.Equal(now, f.data):
		return fmt.Errorf("change license %s in %s: %w", f.Name, f.file, errStale)
	}
	if err := replaceFile(f.file, data); err != nil {
		return fmt.Errorf("change license %s: %w", f.Name, err)
	}
	return nil
}

// find looks a license up. A name that several documents have is nobody's.
func (d *Directory) find(name string) (*found, error) {
	documents, err := d.read()
	if err != nil {
		return nil, err
	}
	var same []found
	for _, each := range documents {
		if each.Kind == v1alpha1.LicenseKind && each.Name == name {
			same = append(same, each)
		}
	}
	switch {
	case len(same) == 0:
		return nil, &NotFoundError{Name: name, Place: d.path}
	case len(same) > 1:
		return nil, fmt.Errorf("license %s is both in %s and in %s; keep one of them", name, same[0].file, same[1].file)
	default:
		return &same[0], nil
	}
}

// read returns all documents that are licenses, or that are too broken to say what they are.
func (d *Directory) read() ([]found, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("read the licenses' directory: %w", err)
	}
	var all []found
	for _, entry := range entries {
		if !isObjects(entry) {
			continue
		}
		file := filepath.Join(d.path, entry.Name())
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the licenses' directory: %w", err)
		}
		for _, document := range v1alpha1.Documents(file, data) {
			document.Validate(v1alpha1.InDirectory)
			if document.Kind != v1alpha1.LicenseKind && document.Kind != "" {
				continue
			}
			license, _ := document.Object.(*v1alpha1.License)
			all = append(all, found{document, license, file, data})
		}
	}
	return all, nil
}

// isObjects reports whether the server reads a file.
func isObjects(entry fs.DirEntry) bool {
	name := entry.Name()
	return !entry.IsDir() && !strings.HasPrefix(name, ".") && slices.Contains([]string{".yml", ".yaml"}, filepath.Ext(name))
}
