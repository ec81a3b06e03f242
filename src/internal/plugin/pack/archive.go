// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// archive is a source in a zip file; jar and war files are such. It is read where it is, never unpacked to disk.
type archive struct {
	name   string
	reader *zip.ReadCloser
	files  map[string]*zip.File // by clean path; directories have a nil file when the archive does not list them
}

// maxLinkTarget bounds what is read of a link's target, in bytes: the length of a path on common systems.
const maxLinkTarget = 4096

func openZip(name string) (*archive, error) {
	r, err := zip.OpenReader(name)
	if errors.Is(err, zip.ErrFormat) {
		return nil, fmt.Errorf("source %s: neither a directory nor a zip or jar file", name)
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("source %s: %w", name, reason(err))
	}
	a := &archive{name: name, reader: r, files: map[string]*zip.File{".": nil}}
	for _, f := range r.File {
		if err := a.add(f); err != nil {
			return nil, errors.Join(fmt.Errorf("source %s: %w", name, err), r.Close())
		}
	}
	return a, nil
}

// add enters one file and the directories above it, and refuses names that another system would read differently.
func (a *archive) add(f *zip.File) error {
	clean := strings.TrimSuffix(f.Name, "/")
	if !fs.ValidPath(clean) || strings.ContainsAny(clean, "\\\x00") {
		return fmt.Errorf("entry %q has no clean relative path; make the archive anew", f.Name)
	}
	if clean == "." {
		return nil
	}
	if old, listed := a.files[clean]; listed && (old != nil || !f.Mode().IsDir()) {
		return fmt.Errorf("entry %q is in it twice; make the archive anew", f.Name)
	}
	a.files[clean] = f
	for parent := path.Dir(clean); parent != "."; parent = path.Dir(parent) {
		above, listed := a.files[parent]
		if listed && above != nil && !above.Mode().IsDir() {
			return fmt.Errorf("entry %q is below %q, which is a file; make the archive anew", f.Name, parent)
		}
		if !listed {
			a.files[parent] = nil
		}
	}
	return nil
}

func (a *archive) Close() error { return a.reader.Close() }

func (a *archive) readFile(path string) (io.ReadCloser, error) {
	f := a.files[path]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return f.Open()
}

func (a *archive) walk(ctx context.Context, visit func(entry) (bool, error)) error {
	paths := make([]string, 0, len(a.files))
	for p := range a.files {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, comparePaths)
	skipped := ""
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		if skipped != "" && strings.HasPrefix(p, skipped) {
			continue
		}
		e, err := zipEntry(p, a.files[p])
		if err != nil {
			return fmt.Errorf("source %s: entry %q: %w", a.name, p, err)
		}
		keep, err := visit(e)
		if err != nil {
			return err
		}
		if !keep && e.kind == directory {
			skipped = p + "/"
		}
	}
	return nil
}

func zipEntry(p string, f *zip.File) (entry, error) {
	if f == nil || f.Mode().IsDir() {
		return entry{path: p, kind: directory, mode: directoryMode}, nil
	}
	e := entry{path: p, size: int64(f.UncompressedSize64), open: f.Open} //nolint:gosec // a size over 8 EiB cannot be in a file
	switch {
	case f.Mode()&fs.ModeSymlink != 0:
		target, err := readTarget(f)
		return entry{path: p, kind: link, mode: executableMode, target: target}, err
	case !f.Mode().IsRegular():
		return entry{}, fmt.Errorf("it is %s, which an image cannot hold; make the archive without it", typeName(f.Mode()))
	case hasModes(f):
		e.mode = modeOf(f.Mode())
		return e, nil
	}
	var err error
	e.mode, err = guessMode(f.Open)
	return e, err
}

// hasModes tells archives made on Unix and macOS (APPNOTE.TXT 4.4.2, upper byte of "version made by") from those without
// permission bits.
func hasModes(f *zip.File) bool {
	const unix, macOS = 3, 19
	madeBy := f.CreatorVersion >> 8
	return (madeBy == unix || madeBy == macOS) && f.Mode().Perm() != 0
}

func readTarget(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, maxLinkTarget))
	if err != nil {
		return "", fmt.Errorf("read the link's target: %w", err)
	}
	return string(target), nil
}
