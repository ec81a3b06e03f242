// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/filters/imagetag"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

const imagerefDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

func proxy() rewrite.Proxy {
	return rewrite.Proxy{Domain: "proxy.example.com", App: "my-kots-app", Aliases: map[string]string{"registry.example.com:5000": "own"}}
}

func TestParse(t *testing.T) {
	const official = "index.docker.io/library/busybox"
	tests := []struct {
		written                             string
		name, tag, digest, host, repository string
		proxied                             string
	}{
		{"quay.io/my-org/api:v1.0.1", "quay.io/my-org/api", "v1.0.1", "", "quay.io", "quay.io/my-org/api", "quay.io/my-org/api"},
		{"quay.io/my-org/api@" + imagerefDigest, "quay.io/my-org/api", "", imagerefDigest, "quay.io", "quay.io/my-org/api", "quay.io/my-org/api"},
		{"quay.io/my-org/api:v1@" + imagerefDigest, "quay.io/my-org/api", "v1", imagerefDigest, "quay.io", "quay.io/my-org/api", "quay.io/my-org/api"},
		{"busybox", "busybox", "", "", "", official, "busybox"},
		{"busybox:1", "busybox", "1", "", "", official, "busybox"},
		{"library/busybox", "library/busybox", "", "", "", official, "library/busybox"},
		{"docker.io/busybox", "docker.io/busybox", "", "", "docker.io", official, "docker.io/busybox"},
		{"docker.io/library/busybox", "docker.io/library/busybox", "", "", "docker.io", official, "docker.io/library/busybox"},
		{"index.docker.io/library/busybox:1", "index.docker.io/library/busybox", "1", "", "index.docker.io", official, "index.docker.io/library/busybox"},
		{"registry-1.docker.io/busybox", "registry-1.docker.io/busybox", "", "", "registry-1.docker.io", official, "registry-1.docker.io/busybox"},
		{"my-org/api", "my-org/api", "", "", "", "index.docker.io/my-org/api", "my-org/api"},
		{"localhost/api", "localhost/api", "", "", "localhost", "localhost/api", "localhost/api"},
		{"registry.example.com:5000/a/b:1", "registry.example.com:5000/a/b", "1", "", "registry.example.com:5000", "registry.example.com:5000/a/b", "own/a/b"},
		{"localhost:5000/a", "localhost:5000/a", "", "", "localhost:5000", "localhost:5000/a", "localhost:5000/a"},
	}
	for _, tt := range tests {
		got, err := rewrite.ParseImage(tt.written)
		want := rewrite.Image{Written: tt.written, Name: tt.name, Tag: tt.tag, Digest: tt.digest, Host: tt.host, Repository: tt.repository}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.written, err, diff)
		}
		proxied := proxy().Name(got.Name)
		if proxied != "proxy.example.com/proxy/my-kots-app/"+tt.proxied {
			t.Errorf("%s becomes %s", tt.written, proxied)
		}
		if usable := !strings.Contains(tt.proxied, ":"); usable != proxy().Usable(proxied) {
			t.Errorf("%s: usable %t, want %t", proxied, !usable, usable)
		}
	}
	for _, written := range []string{"", "A", "a b", "a:", "a@sha256:1", "https://a/b", "a:b:c", "$(IMAGE)", "a..b/c", "00$.0/0", "a//b", "a/-b"} {
		if got, err := rewrite.ParseImage(written); err == nil {
			t.Errorf("%q was read as %+v", written, got)
		}
	}
}

func TestSpellings(t *testing.T) {
	official := []string{
		"busybox", "library/busybox", "docker.io/busybox", "docker.io/library/busybox", "index.docker.io/busybox", "index.docker.io/library/busybox",
	}
	for written, want := range map[string][]string{
		"busybox:1":                            official,
		"index.docker.io/library/busybox:1":    official,
		"registry-1.docker.io/busybox":         append(slices.Clone(official), "registry-1.docker.io/busybox"),
		"docker.io/my-org/api":                 {"my-org/api", "docker.io/my-org/api", "index.docker.io/my-org/api"},
		"quay.io/my-org/api@" + imagerefDigest: {"quay.io/my-org/api"},
	} {
		image, err := rewrite.ParseImage(written)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, image.Spellings()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", written, diff)
		}
	}
}

// FuzzParse holds that nothing of a name is lost, that every spelling means the same repository, and that
// kustomize agrees with us about what is the name and what the tag.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"busybox", "busybox:1", "docker.io/library/busybox@" + imagerefDigest, "quay.io/a/b:v1@" + imagerefDigest, "localhost:5000/x:1", "127.0.0.1:5000/x", "[::1]:5000/x",
		"a.b/c", "a:5000", "registry-1.docker.io/x/y", "a/b/c:1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		image, err := rewrite.ParseImage(written)
		if err != nil {
			return
		}
		rest := strings.TrimPrefix(written, image.Name)
		tag, digest := "", ""
		if image.Tag != "" {
			tag = ":" + image.Tag
		}
		if image.Digest != "" {
			digest = "@" + image.Digest
		}
		if image.Name == "" || rest != tag+digest {
			t.Fatalf("%q became %+v", written, image)
		}
		for _, spelling := range image.Spellings() {
			same, err := rewrite.ParseImage(spelling + rest)
			if err != nil || same.Repository != image.Repository || same.Tag != image.Tag || same.Digest != image.Digest {
				t.Fatalf("%q is spelled %q, which is %+v, %v", written, spelling, same, err)
			}
		}
		if digest != "" && !strings.HasPrefix(image.Digest, "sha256:") || strings.ContainsAny(image.Name, "[]") {
			return // kustomize knows no other digests, and takes brackets for a pattern
		}
		if got, want := renamed(t, written, image.Name, proxy().Name(image.Name)), proxy().Name(image.Name)+rest; got != want {
			t.Fatalf("kustomize makes %q of %q, want %q", got, written, want)
		}
	})
}

// renamed is what kustomize's own transformer makes of an image.
func renamed(t *testing.T, written, name, newName string) string {
	t.Helper()
	object := yaml.NewRNode(&yaml.Node{Kind: yaml.MappingNode})
	if err := object.PipeE(yaml.SetField("image", yaml.NewStringRNode(written))); err != nil {
		t.Fatal(err)
	}
	filter := imagetag.Filter{ImageTag: types.Image{Name: name, NewName: newName}, FsSlice: types.FsSlice{{Path: "image"}}}
	if _, err := filter.Filter([]*yaml.RNode{object}); err != nil {
		t.Fatal(err)
	}
	got, err := object.GetString("image")
	if err != nil {
		t.Fatal(err)
	}
	return got
}
