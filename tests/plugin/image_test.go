// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// fill writes a tree with every owner's permission, and returns it as list describes it.
func fill(t *testing.T, root string) map[string]string {
	t.Helper()
	for path, mode := range map[string]fs.FileMode{
		"README.md": 0o644, "bin/run": 0o755, "bin/private": 0o700, "secret": 0o600, "fixed": 0o444, "a/b/c/deep": 0o664, "ünïcode": 0o644, "none": 0o400,
	} {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		harness.WriteFile(t, full, []byte("content of "+path))
		if err := os.Chmod(full, mode); err != nil {
			t.Fatal(err)
		}
	}
	return list(t, root)
}

// list is a tree as path to owner's permission and content, or to the target of a link. imgpkg gives group
// and others what the owner may, so only the owner's bits can be compared.
func list(t *testing.T, root string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(root, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := item.Info()
		if err != nil {
			return err
		}
		if item.IsDir() {
			got[rel+"/"] = (info.Mode() & 0o700).String()
			return nil
		}
		if item.Type() == fs.ModeSymlink {
			got[rel], err = os.Readlink(path)
			return err
		}
		content, err := os.ReadFile(path)
		got[rel] = (info.Mode() & 0o700).String() + " " + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// pulled asks the registry itself.
func (p *place) pulled(t *testing.T, identifier string) v1.Image {
	t.Helper()
	img, err := remote.Image(p.upstream.Reference(t, identifier), p.upstream.Options(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPushedTreeComesBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	want := fill(t, p.tree)
	reference, said := p.push(t)
	if !strings.HasPrefix(reference, p.upstream.Host+"/"+harness.Repository+":dev-web@sha256:") || !strings.Contains(said, "uploaded.") {
		t.Fatalf("reference %q\n%s", reference, said)
	}
	p.upstream.AssertArrived(t, "dev-web", digestOf(t, reference))
	p.upstream.AssertArrived(t, strings.Replace(digestOf(t, reference), ":", "-", 1)+".imgpkg", digestOf(t, reference))

	back := filepath.Join(t.TempDir(), "back")
	p.run(t, harness.Tool(t, "imgpkg"), "pull", "-i", reference, "-o", back,
		"--registry-username", p.upstream.Username, "--registry-password", p.upstream.Password)
	if diff := cmp.Diff(want, list(t, back)); diff != "" {
		t.Errorf("the tree that imgpkg pulls (-pushed +pulled):\n%s", diff)
	}

	before := p.server.Metric(t, "lsp_requests_total")
	again, said := p.push(t)
	if again != reference || !strings.Contains(said, "nothing was uploaded") {
		t.Errorf("an unchanged tree: %s\n%s", again, said)
	}
	// The proxy, its registry's health, and the tag.
	if asked := p.server.Metric(t, "lsp_requests_total") - before; asked > 3 {
		t.Errorf("an unchanged tree took %v requests", asked)
	}
	harness.WriteFile(t, filepath.Join(p.tree, "README.md"), []byte("changed"))
	changed, said := p.push(t)
	if changed == reference || !strings.Contains(said, "uploaded.") {
		t.Errorf("a changed tree: %s\n%s", changed, said)
	}
	p.upstream.AssertArrived(t, "dev-web", digestOf(t, changed))
}

// Empty directories are in the image, and whoever unpacks its layer has them. imgpkg alone drops them, out of
// an image that it made itself, too. What links lead to comes back everywhere.
func TestEmptyDirectoriesAndLinks(t *testing.T) {
	t.Parallel()
	tar := harness.System(t, "tar", "tar")
	p := newPlace(t)
	fill(t, p.tree)
	for _, empty := range []string{"empty/below", "a/b/nothing"} {
		if err := os.MkdirAll(filepath.Join(p.tree, empty), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Before there is a link, which imgpkg refuses.
	p.run(t, harness.Tool(t, "imgpkg"), "push", "--tty", "-i", p.server.Host+"/source:theirs", "-f", p.tree)
	want := list(t, p.tree)
	for link, target := range map[string]string{"link": "README.md", "a/code": "../bin"} {
		if err := os.Symlink(target, filepath.Join(p.tree, link)); err != nil {
			t.Fatal(err)
		}
	}
	want["link"], want["a/code/"], want["a/code/run"], want["a/code/private"] = want["README.md"], want["bin/"], want["bin/run"], want["bin/private"]
	out, said := p.run(t, plugin(), "push", "--name", "web", "--local-path", p.tree, "--follow-symlinks")
	reference := strings.TrimSpace(out)
	if !strings.Contains(said, "Packed 11 files") {
		t.Errorf("it says %q", said)
	}

	unpacked := t.TempDir()
	p.run(t, tar, "--extract", "--gzip", "--same-permissions", "--no-same-owner", "--directory", unpacked, "--file", p.layer(t, digestOf(t, reference)))
	if diff := cmp.Diff(want, list(t, unpacked)); diff != "" {
		t.Errorf("the layer, unpacked with tar (-pushed +unpacked):\n%s", diff)
	}

	for _, dropped := range []string{"empty/below/", "a/b/nothing/"} {
		delete(want, dropped)
	}
	p.pulls(t, reference, want)
	for _, linked := range []string{"link", "a/code/", "a/code/run", "a/code/private"} {
		delete(want, linked)
	}
	p.pulls(t, p.upstream.Reference(t, "theirs").Name(), want)
}

// pulls asserts what imgpkg pulls out of an image.
func (p *place) pulls(t *testing.T, image string, want map[string]string) {
	t.Helper()
	back := filepath.Join(t.TempDir(), "back")
	p.run(t, harness.Tool(t, "imgpkg"), "pull", "-i", image, "-o", back,
		"--registry-username", p.upstream.Username, "--registry-password", p.upstream.Password)
	if diff := cmp.Diff(want, list(t, back)); diff != "" {
		t.Errorf("%s, pulled with imgpkg (-expected +pulled):\n%s", image, diff)
	}
}

// layer saves the one layer of an image as it is stored, and returns the file.
func (p *place) layer(t *testing.T, digest string) string {
	t.Helper()
	layers, err := p.pulled(t, digest).Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return harness.WriteFile(t, filepath.Join(t.TempDir(), "layer.tar.gz"), content)
}

// The same tree is the same image, to the digest, whether this program, imgpkg or the Apps CLI, which has
// imgpkg in it, packs it. So a team that uses more than one builds once and stores once.
func TestSameImageAsImgpkg(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	theirs := func(tag, tree string) string {
		p.run(t, harness.Tool(t, "imgpkg"), "push", "--tty", "-i", p.server.Host+"/source:"+tag, "-f", tree)
		digest, err := p.pulled(t, tag).Digest()
		if err != nil {
			t.Fatal(err)
		}
		return digest.String()
	}
	t.Run("directory", func(t *testing.T) {
		fill(t, p.tree)
		large := bytes.Repeat([]byte("lines that compress, and some that do not: \x00\x17\x99\n"), 1<<16)
		rand.NewChaCha8([32]byte{1}).Read(large[:len(large)/2])
		harness.WriteFile(t, filepath.Join(p.tree, "large"), large)
		for _, dir := range []string{"empty", ".git"} { // imgpkg leaves .git out, too
			if err := os.MkdirAll(filepath.Join(p.tree, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		reference, _ := p.push(t)
		if got, want := digestOf(t, reference), theirs("directory", p.tree); got != want {
			t.Errorf("digest %s, imgpkg makes %s", got, want)
		}
	})
	t.Run("jar", func(t *testing.T) {
		// As the Apps CLI unpacks a jar without permission bits: everything may be executed.
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		unpacked := t.TempDir()
		for _, name := range []string{"META-INF/MANIFEST.MF", "BOOT-INF/classes/App.class", "mvnw", "mvnw"} {
			f, err := w.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(f, "#!content of %s, written at %d", name, buf.Len())
			path := filepath.Join(unpacked, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			harness.WriteFile(t, path, fmt.Appendf(nil, "#!content of %s, written at %d", name, buf.Len()))
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		jar := harness.WriteFile(t, filepath.Join(t.TempDir(), "app.jar"), buf.Bytes())
		out, _ := p.run(t, plugin(), "push", "--name", "jar", "--local-path", jar)
		if got, want := digestOf(t, strings.TrimSpace(out)), theirs("unpacked", unpacked); got != want {
			t.Errorf("digest %s, imgpkg makes %s", got, want)
		}
	})
}
