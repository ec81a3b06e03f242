// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestTarGoesOn: wherever the writing was interrupted, the next attempt takes what is whole, and the outcome is
// the same to the byte.
func TestTarGoesOn(t *testing.T) {
	v := newVendor(t)
	whole := read(t, pack(t, v, v.images()))
	blobs := v.count("GET", "/blobs/")
	for _, cut := range []int{0, 1, 511, 600, 1500, len(whole) / 3, len(whole) / 2, len(whole) - 1100, len(whole) - 1} {
		path := filepath.Join(t.TempDir(), "images.tar")
		write(t, partial(path), whole[:cut])
		v.forget()
		to, err := CreateTar(path)
		if err != nil {
			t.Fatal(err)
		}
		copier := &Copier{Source: v.source(), Target: to, Concurrency: 1}
		if results, err := copier.Copy(t.Context(), v.images()); err != nil || results[0].Err != nil || results[1].Err != nil {
			t.Fatalf("%v %+v", err, results)
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatal("it is there before it is complete")
		}
		if err := to.Commit(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(partial(path)); err == nil {
			t.Error("what was not complete is still there")
		}
		if again := v.count("GET", "/blobs/"); cut > 3000 && again >= blobs {
			t.Errorf("cut at %d: %d blobs of %d are read again", cut, again, blobs)
		}
		if got := read(t, path); len(got) != len(whole) {
			t.Errorf("cut at %d: %d bytes, want %d", cut, len(got), len(whole))
		}
		open(t, path)
	}
}

// TestSameTar: the same images make the same file.
func TestSameTar(t *testing.T) {
	v := newVendor(t)
	make := func() []byte {
		path := filepath.Join(t.TempDir(), "images.tar")
		to, err := CreateTar(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&Copier{Source: v.source(), Target: to, Concurrency: 1}).Copy(t.Context(), v.images()); err != nil {
			t.Fatal(err)
		}
		if err := to.Commit(); err != nil {
			t.Fatal(err)
		}
		return read(t, path)
	}
	if !bytes.Equal(make(), make()) {
		t.Error("two tars differ")
	}
}

// TestTarThatIsNotOurs stays, and so does one that another process writes.
func TestTarThatIsNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "images.tar")
	foreign := bytes.Repeat([]byte("a diary\n"), 1000)
	write(t, partial(path), foreign)
	if _, err := CreateTar(path); err == nil || !strings.Contains(err.Error(), "not from this command; move it away") {
		t.Errorf("%v", err)
	}
	if !bytes.Equal(read(t, partial(path)), foreign) {
		t.Error("it was changed")
	}
	other := filepath.Join(t.TempDir(), "images.tar")
	first, err := CreateTar(other)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := CreateTar(other); err == nil || !strings.Contains(err.Error(), "another process writes it") {
		t.Errorf("%v", err)
	}
}

// TestTarOfABrokenConnection: a blob that breaks off is read again, and leaves nothing behind.
func TestTarOfABrokenConnection(t *testing.T) {
	v := newVendor(t)
	whole := read(t, pack(t, v, v.images()))
	broken := map[string]bool{}
	v.answer(func(w http.ResponseWriter, r *http.Request) bool {
		v.mu.Lock()
		again := broken[r.URL.Path]
		broken[r.URL.Path] = true
		v.mu.Unlock()
		if again || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		w.Header().Set("Content-Length", "2000")
		_, _ = w.Write(make([]byte, 700))
		panic(http.ErrAbortHandler)
	})
	if got := read(t, packOne(t, v)); len(got) != len(whole) {
		t.Errorf("%d bytes, want %d", len(got), len(whole))
	}
}

func packOne(t *testing.T, v *vendor) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "images.tar")
	to, err := CreateTar(path)
	if err != nil {
		t.Fatal(err)
	}
	results, err := (&Copier{Source: v.source(), Target: to, Concurrency: 1}).Copy(t.Context(), v.images())
	if err = errors.Join(err, results[0].Err, results[1].Err, to.Commit()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTarIsRefused: whatever was done to it, and before anything of it is used.
func TestTarIsRefused(t *testing.T) {
	v := newVendor(t)
	whole := read(t, pack(t, v, v.images()))
	change := func(edit func(files []file) []file) []byte { return pour(t, edit(unpack(t, whole))) }
	largest := func(files []file) int {
		at := 0
		for i, one := range files {
			if strings.HasPrefix(one.name, blobsDir) && len(one.content) > len(files[at].content) {
				at = i
			}
		}
		return at
	}
	index := func(edit func(*v1.IndexManifest)) []byte {
		return change(func(files []file) []file {
			last := &files[len(files)-1]
			var index v1.IndexManifest
			if err := json.Unmarshal(last.content, &index); err != nil {
				t.Fatal(err)
			}
			edit(&index)
			last.content, _ = json.Marshal(index)
			return files
		})
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(whole)
	_ = zip.Close()
	flipped := bytes.Clone(whole)
	flipped[len(whole)/2] ^= 1
	for name, tt := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":                {nil, "it has no file oci-layout"},
		"cut in a header":      {whole[:700], "the file ends too early"},
		"cut in a blob":        {whole[:len(whole)/2/512*512+7], "the file ends too early"},
		"cut ahead of its end": {whole[:bytes.LastIndex(whole, []byte(indexFile))/512*512], "the file ends too early"},
		"compressed":           {packed.Bytes(), "it is not a tar, or it was damaged"},
		"text":                 {bytes.Repeat([]byte("hello "), 1000), "it is not a tar, or it was damaged"},
		"one bit":              {flipped, ""},
		"another blob": {change(func(files []file) []file {
			files[largest(files)].content[3] ^= 1
			return files
		}), "has other content than its name says"},
		"no blob": {change(func(files []file) []file {
			at := largest(files)
			return append(files[:at:at], files[at+1:]...)
		}), "the tar lacks the blob sha256:"},
		"a blob twice": {change(func(files []file) []file {
			return append([]file{files[largest(files)]}, files...)
		}), "is there twice"},
		"a stranger": {change(func(files []file) []file {
			return append([]file{{name: "../../etc/passwd", content: []byte("x")}}, files...)
		}), "../../etc/passwd has no place in an image layout"},
		"a blob with another name": {change(func(files []file) []file {
			return append([]file{{name: blobsDir + "../x", content: []byte("x")}}, files...)
		}), "is not named by a digest"},
		"a link": {change(func(files []file) []file {
			return append([]file{{name: "index.json", link: "/etc/passwd"}}, files...)
		}), "is no regular file"},
		"a large index": {change(func(files []file) []file {
			files[len(files)-1].content = make([]byte, maxManifest+1)
			return files
		}), "larger than 8 MiB"},
		"no index":      {change(func(files []file) []file { return files[:len(files)-1] }), "the file ends too early"},
		"no JSON":       {change(func(files []file) []file { files[len(files)-1].content = []byte("x"); return files }), "read its index"},
		"another name":  {index(func(i *v1.IndexManifest) { i.Manifests[0].Annotations = nil }), `under the name ""`},
		"an image gone": {index(func(i *v1.IndexManifest) { i.Manifests[0].Digest.Hex = strings.Repeat("0", 64) }), "the tar lacks the manifest sha256:000"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "images.tar")
			write(t, path, tt.content)
			_, err := OpenTar(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	for _, path := range []string{t.TempDir(), "/no/such", os.DevNull} {
		if _, err := OpenTar(path); err == nil || !strings.HasPrefix(err.Error(), "read the tar") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// FuzzTar: no file makes the reader panic, or allocate what its header promises.
func FuzzTar(f *testing.F) {
	f.Add([]byte("x"))
	f.Add(pour(f, []file{{name: layoutFile, content: []byte(layoutContent)}, {name: indexFile, content: []byte(`{"manifests":[]}`)}}))
	f.Add(pour(f, []file{{name: layoutFile, content: []byte(layoutContent)}, {name: indexFile,
		content: []byte(`{"manifests":[{"digest":"sha256:` + strings.Repeat("a", 64) + `","size":1}]}`)}}))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "images.tar")
		write(t, path, content)
		archive, err := OpenTar(path)
		if err != nil {
			return
		}
		defer archive.Close()
		for _, image := range archive.Images() {
			if _, err := archive.manifest(context.Background(), image, image.reference()); err != nil {
				t.Errorf("%+v: %v", image, err)
			}
		}
	})
}

// file is one of a tar.
type file struct {
	name, link string
	content    []byte
}

func unpack(t *testing.T, content []byte) []file {
	t.Helper()
	var all []file
	reader := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		one, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, file{name: header.Name, content: one})
	}
}

func pour(t testing.TB, files []file) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, one := range files {
		header := &tar.Header{Name: one.name, Size: int64(len(one.content)), Mode: 0o644, Typeflag: tar.TypeReg}
		if one.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, one.link
		}
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(one.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
