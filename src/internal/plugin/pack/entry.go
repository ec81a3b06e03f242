// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

type kind int

const (
	file kind = iota
	directory
	link
)

// entry is one file, directory or symbolic link of a source.
type entry struct {
	path   string // slash-separated and clean; "." is the root
	kind   kind
	mode   int64  // permission bits for the tar header
	size   int64  // of a file, in bytes
	target string // of a link, slash-separated
	open   func() (io.ReadCloser, error)
}

// list walks the source, leaves out what is excluded, and sorts the rest as a walk of a directory does. The
// notice says how the Apps CLI would choose otherwise.
func list(ctx context.Context, src source, path string, opts Options) (entries []entry, notice string, err error) {
	excluded, err := loadExclusions(src, opts)
	if err != nil {
		return nil, "", err
	}
	err = src.walk(ctx, func(e entry) (bool, error) {
		keep, err := excluded.keeps(e)
		if !keep || err != nil {
			return false, err
		}
		if len(entries) == maxEntries {
			return false, fmt.Errorf("source %s: %w", path, errTooMany)
		}
		entries = append(entries, e)
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(entries, func(a, b entry) int { return comparePaths(a.path, b.path) })
	return entries, excluded.appsCLI.notice(), nil
}

// comparePaths orders paths element by element, so that a directory stands directly before its content. The
// root is first.
func comparePaths(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".":
		return -1
	case b == ".":
		return 1
	default:
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	}
}

// Permissions: the owner's bits only, as imgpkg writes them. What group and others may do differs with the
// umask of the one who checked the tree out, and would change the digest.
const (
	directoryMode  = 0o700
	executableMode = 0o700
	plainMode      = 0o600
)

func modeOf(perm fs.FileMode) int64 { return int64(perm.Perm() & 0o700) }

// guessMode serves sources without permission bits (Windows, archives made there): programs are known by
// their first bytes.
func guessMode(open func() (io.ReadCloser, error)) (int64, error) {
	f, err := open()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	head = head[:n]
	for _, magic := range []string{"#!", "\x7fELF", "\xcf\xfa\xed\xfe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return executableMode, nil
		}
	}
	return plainMode, nil
}

// typeName says what kind of special file refuses to be packed.
func typeName(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	default:
		return fmt.Sprintf("of type %s", mode.Type())
	}
}
