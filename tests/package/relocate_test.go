// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// imagesLock is imgpkg's ImagesLock.
type imagesLock struct {
	Images []struct{ Image string }
}

func readLock(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, ".imgpkg/images.yml"))
	if err != nil {
		t.Fatalf("read lock: %v", err)
	}
	var lock imagesLock
	if err := yaml.Unmarshal(content, &lock); err != nil {
		t.Fatalf("parse lock: %v", err)
	}
	var images []string
	for _, entry := range lock.Images {
		images = append(images, entry.Image)
	}
	return images
}

// checkRelocated follows the way of kapp-controller from the mirror's package repository down to the image of
// the pods.
func checkRelocated(t *testing.T, mirror string, imgpkg func(...string) string, crane func(*testing.T, ...string) string) {
	kbld := func(dir, manifests string) []object {
		return objects(t, mustRun(t, command{stdin: manifests, args: []string{tool(t, "kbld"), "-f", "-", "-f", filepath.Join(dir, ".imgpkg/images.yml")}}))
	}
	fromMirror := func(images []string) {
		t.Helper()
		for _, image := range images {
			if !strings.HasPrefix(image, mirror+"@sha256:") {
				t.Errorf("%s is not in the mirror", image)
			}
			crane(t, "validate", "--remote", image)
		}
	}
	repository := t.TempDir()
	imgpkg("pull", "-b", mirror+":"+laterVersion, "-o", repository)
	if images := readLock(t, repository); len(images) != 4 {
		t.Errorf("the repository's lock has %v, want the bundles of two packages in two versions", images)
	} else {
		for _, image := range images {
			if !strings.HasPrefix(image, mirror+"@sha256:") {
				t.Errorf("%s is not in the mirror", image)
			}
		}
	}
	manifests := mustRun(t, command{args: []string{tool(t, "ytt"), "-f", filepath.Join(repository, "packages")}})
	packages := 0
	for _, o := range kbld(repository, manifests) {
		if o.text("kind") != "Package" {
			continue
		}
		packages++
		checkPackage(t, o)
		fetch := o.at("spec", "template", "spec", "fetch").([]any)
		bundle := object(fetch[0].(map[string]any)).text("imgpkgBundle", "image")
		if !strings.HasPrefix(bundle, mirror+"@sha256:") {
			t.Errorf("%s fetches %s", o.id(), bundle)
		}
		dir := t.TempDir()
		imgpkg("pull", "-b", bundle, "-o", dir)
		fromMirror(readLock(t, dir))
		rendered := render(t, filepath.Join(dir, "config"), "{}")
		if rendered.err != nil {
			t.Fatalf("render %s: %v\n%s", o.id(), rendered.err, rendered.stderr)
		}
		if all := kbld(dir, rendered.stdout); packageInstall(all) == nil {
			fromMirror([]string{deployment(t, all).Spec.Template.Spec.Containers[0].Image})
		}
	}
	if packages != 4 {
		t.Errorf("the repository has %d packages", packages)
	}
}

func checkPackage(t *testing.T, o object) {
	t.Helper()
	files := map[string]string{
		"local-source-proxy.apps.tanzu.vmware.com": "bundle/openapi.yml",
		"ootb-profiles.apps.tanzu.vmware.com":      "package-repository/ootb-profiles/openapi.yml",
	}
	name := o.text("spec", "refName")
	of := o.text("spec", "version")
	if o.text("metadata", "name") != name+"."+of || of != version && of != laterVersion {
		t.Errorf("package %s has refName %s and version %s", o.text("metadata", "name"), name, of)
	}
	if strings.TrimSpace(o.text("spec", "releaseNotes")) == "" || o.text("spec", "releasedAt") != "2026-01-02T03:04:05Z" {
		t.Errorf("%s: released at %s, notes %q", o.id(), o.text("spec", "releasedAt"), o.text("spec", "releaseNotes"))
	}
	content, err := os.ReadFile(filepath.Join(root(t), files[name]))
	if err != nil {
		t.Fatalf("read the OpenAPI of %s: %v", name, err)
	}
	var document object
	if err := yaml.Unmarshal(content, &document); err != nil {
		t.Fatalf("parse the OpenAPI of %s: %v", name, err)
	}
	if diff := cmp.Diff(document.at("components", "schemas", "dataValues"), o.at("spec", "valuesSchema", "openAPIv3")); diff != "" {
		t.Errorf("%s: schema (-committed +published):\n%s", o.id(), diff)
	}
}
