// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// archive is a source in a zip file; jar and war files are such. It is read where it is, never unpacked to
// disk.
type archive struct {
	name   string
	file   *os.File
	reader *bounded
	files  map[string]*zip.File // by clean path; directories have a nil file when the archive does not list them
}

func openZip(ctx context.Context, name string) (_ *archive, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, reason(err))
	}
	a := &archive{name: name, file: f, reader: &bounded{ctx, f, maxDirectory}, files: map[string]*zip.File{".": nil}}
	if err := a.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("source %s: %w", name, err), f.Close())
	}
	return a, nil
}

// load reads the list of entries.
func (a *archive) load(ctx context.Context) error {
	info, err := a.file.Stat()
	if err != nil {
		return reason(err)
	}
	r, err := zip.NewReader(a.reader, info.Size())
	if errors.Is(err, zip.ErrFormat) {
		return errors.New("neither a directory nor a zip or jar file")
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return err
	}
	a.reader.left = -1
	for _, f := range r.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.add(f); err != nil {
			return err
		}
	}
	return a.addParents(ctx)
}

// add enters one file. Of two with one name the last counts, as for jar and unzip: Gradle makes such
// archives. What leads out of the tree, or is read differently by another system, is refused.
func (a *archive) add(f *zip.File) error {
	clean := path.Clean(f.Name)
	if f.Name == "" || !fs.ValidPath(clean) || strings.ContainsAny(clean, "\\\x00") {
		return fmt.Errorf("entry %q has no clean relative path; make the archive anew", f.Name)
	}
	if clean == "." {
		return nil
	}
	if len(clean) > maxPath {
		return errPath
	}
	if old := a.files[clean]; old != nil && isDir(old) != isDir(f) {
		return fmt.Errorf("entry %q is in it as a file and as a directory; make the archive anew", clean)
	}
	a.files[clean] = f
	return nil
}

func isDir(f *zip.File) bool { return f == nil || f.Mode().IsDir() }

// addParents enters the directories that the archive does not list.
func (a *archive) addParents(ctx context.Context) error {
	for _, name := range slices.Collect(maps.Keys(a.files)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			above, listed := a.files[parent]
			if !isDir(above) {
				return fmt.Errorf("entry %q is below %q, which is a file; make the archive anew", name, parent)
			}
			if listed {
				break
			}
			if len(a.files) > maxEntries {
				return errTooMany
			}
			a.files[parent] = nil
		}
	}
	return nil
}

func (a *archive) Close() error { return a.file.Close() }

func (a *archive) readFile(path string) (io.ReadCloser, error) {
	f := a.files[path]
	switch {
	case f == nil:
		return nil, fs.ErrNotExist
	case !f.Mode().IsRegular():
		return nil, errNoFile
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
	if isDir(f) {
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
	case madeBy(f) == madeByFAT || madeBy(f) == madeByVFAT:
		e.mode = executableMode // as the Apps CLI has it for all files of such archives, most jars among them
		return e, nil
	}
	var err error
	e.mode, err = guessMode(f.Open)
	return e, err
}

// Systems that archives are made on (APPNOTE.TXT 4.4.2).
const (
	madeByFAT   = 0
	madeByUnix  = 3
	madeByVFAT  = 14
	madeByMacOS = 19
)

func madeBy(f *zip.File) uint16 { return f.CreatorVersion >> 8 }

// hasModes tells files with permission bits from those without.
func hasModes(f *zip.File) bool {
	return (madeBy(f) == madeByUnix || madeBy(f) == madeByMacOS) && f.Mode().Perm() != 0
}

func readTarget(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, maxPath+1))
	if err != nil {
		return "", fmt.Errorf("read the link's target: %w", err)
	}
	if len(target) > maxPath {
		return "", errPath
	}
	return string(target), nil
}
