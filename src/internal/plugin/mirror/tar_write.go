// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// attempts are how often a blob is read for a tar, from its beginning.
const attempts = 3

// Tar is an OCI image layout that is being written into one file. Until it is complete it has another name, and
// what is in it by then is there for the next attempt.
type Tar struct {
	path string

	mu    sync.Mutex // one entry at a time
	file  *os.File
	end   int64 // of the entries that are whole
	blobs blobs
	index []v1.Descriptor
	tags  map[string]v1.Hash
}

// partial is what the file is called until it is complete.
func partial(path string) string { return path + ".partial" }

// CreateTar begins a tar, or goes on with one.
func CreateTar(path string) (*Tar, error) {
	file, err := os.OpenFile(partial(path), os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // images are no secret of this machine
	if err != nil {
		return nil, fmt.Errorf("write the tar: %w", err)
	}
	t := &Tar{path: path, file: file, tags: map[string]v1.Hash{}}
	if err := t.resume(); err != nil {
		return nil, errors.Join(fmt.Errorf("write the tar: %w", err), file.Close())
	}
	return t, nil
}

// errIndex ends the scan of a tar at its index, which is written anew.
var errIndex = errors.New("the index")

func (t *Tar) resume() error {
	if err := lock(t.file); err != nil {
		return fmt.Errorf("%s is in use: %w", t.file.Name(), err)
	}
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	ours := false
	// What follows the last whole entry is overwritten, whatever is the matter with it.
	t.blobs, t.end, _ = scan(t.file, func(name string, _ []byte) error {
		if name != layoutFile {
			return errIndex
		}
		ours = true
		return nil
	})
	if !ours && info.Size() >= 1024 {
		return fmt.Errorf("%s is there, and not from this command; move it away", t.file.Name())
	}
	if ours {
		return nil
	}
	t.end = 0
	return t.write(layoutFile, int64(len(layoutContent)), strings.NewReader(layoutContent))
}

// write adds one entry: all of it, or nothing.
func (t *Tar) write(name string, size int64, content io.Reader) (err error) {
	if err := errors.Join(t.file.Truncate(t.end), seek(t.file, t.end)); err != nil {
		return err
	}
	writer := tar.NewWriter(t.file)
	if err := writer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return err
	}
	if copied, err := io.CopyN(writer, content, size); errors.Is(err, io.EOF) {
		return fmt.Errorf("it has %d bytes, and not %d: %w", copied, size, io.ErrUnexpectedEOF)
	} else if err != nil {
		return err
	}
	// Only its end tells whether the content is the right one.
	if n, err := content.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("it has more than %d bytes", size)
	} else if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	t.end, err = t.file.Seek(0, io.SeekCurrent)
	return err
}

func seek(file *os.File, offset int64) error {
	_, err := file.Seek(offset, io.SeekStart)
	return err
}

func (t *Tar) digest(_ context.Context, path, reference string) (v1.Hash, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if digest, err := v1.NewHash(reference); err == nil {
		_, there := t.blobs[digest]
		return digest, there, nil
	}
	digest, there := t.tags[path+":"+reference]
	return digest, there, nil
}

func (t *Tar) putBlob(ctx context.Context, _ string, blob v1.Descriptor, open func() (io.ReadCloser, error)) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.blobs[blob.Digest]; there {
		return false, nil
	}
	var err error
	for range attempts {
		if err = ctx.Err(); err != nil {
			break
		}
		var content io.ReadCloser
		if content, err = open(); err != nil {
			break // the source has tried again by itself
		}
		err = errors.Join(t.write(blobsDir+blob.Digest.Hex, blob.Size, content), content.Close())
		if err == nil {
			t.blobs[blob.Digest] = span{}
			return true, nil
		}
	}
	return false, err
}

func (t *Tar) putManifest(_ context.Context, path, tag string, m manifest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tag != "" {
		t.tags[path+":"+tag] = m.digest
	}
	if _, there := t.blobs[m.digest]; there {
		return nil
	}
	if err := t.write(blobsDir+m.digest.Hex, int64(len(m.raw)), bytes.NewReader(m.raw)); err != nil {
		return err
	}
	t.blobs[m.digest] = span{}
	return nil
}

// list puts a manifest into the index, which names what nothing else does.
func (t *Tar) list(image Image, tag string, m manifest, isImage bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry := m.descriptor()
	image.Tag, image.Digest = tag, m.digest.String()
	entry.Annotations = map[string]string{refName: image.Reference()}
	if isImage {
		entry.Annotations[imageName] = entry.Annotations[refName]
	}
	t.index = append(t.index, entry)
}

// Commit completes the tar and gives it its name.
func (t *Tar) Commit() error {
	slices.SortFunc(t.index, func(a, b v1.Descriptor) int {
		return strings.Compare(a.Annotations[refName], b.Annotations[refName])
	})
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: t.index})
	if err == nil {
		err = t.write(indexFile, int64(len(index)), bytes.NewReader(index))
	}
	if err == nil {
		err = tar.NewWriter(t.file).Close() // the two blocks that end a tar
	}
	if err == nil {
		err = t.file.Sync()
	}
	if err = errors.Join(err, t.file.Close()); err == nil {
		err = os.Rename(partial(t.path), t.path)
	}
	if err != nil {
		return fmt.Errorf("complete the tar %s: %w", filepath.Base(t.path), err)
	}
	return nil
}

// Close leaves the tar as it is, for the next attempt. It returns the name of what is there.
func (t *Tar) Close() string {
	_ = t.file.Close() // the next attempt reads it from the beginning
	return partial(t.path)
}
