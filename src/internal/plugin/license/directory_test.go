// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// directory makes a store with files, and collects what it warns of.
func directory(t *testing.T, files map[string]string) (store *license.Directory, dir string, warnings *[]error) {
	t.Helper()
	dir, warnings = t.TempDir(), &[]error{}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return license.NewDirectory(dir, func(err error) { *warnings = append(*warnings, err) }), dir, warnings
}

func licenseYAML(name string) string {
	return head + "metadata: {name: " + name + "}\nspec: {appSlug: shop, customerName: " + name + ", credentials: [{name: license-id, sha256: " + v1alpha1.Hash(name) + "}]}\n"
}

func TestDirectoryList(t *testing.T) {
	store, _, warnings := directory(t, map[string]string{
		"b.yml": licenseYAML("beta") + "---\n" + licenseYAML("alpha"), "c.yaml": licenseYAML("gamma"),
		"registry.yml": "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: ExternalRegistry\nmetadata: {name: quay}\nspec: {hostname: quay.io}\n",
		"wrong.yml":    strings.Replace(licenseYAML("delta"), "appSlug", "appSlag", 1) + "---\n" + licenseYAML("epsilon"),
		"notes.txt":    "not ours", ".hidden.yml": licenseYAML("hidden"),
	})
	all, err := store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range all {
		names = append(names, all[i].Name)
	}
	if got := strings.Join(names, " "); got != "alpha beta epsilon gamma" {
		t.Errorf("licenses %s", got)
	}
	if len(*warnings) != 1 || !strings.Contains((*warnings)[0].Error(), "wrong.yml: line 4: spec.appSlag") {
		t.Errorf("warnings %v", *warnings)
	}
	if _, err := store.Get(t.Context(), "delta"); err == nil || !strings.Contains(err.Error(), "spec.appSlag") {
		t.Errorf("the invalid one: %v", err)
	}
}

func TestDirectoryCreate(t *testing.T) {
	store, dir, _ := directory(t, map[string]string{"license-taken.yml": "# notes\n", "all.yml": licenseYAML("acme")})
	create := func(name string) error {
		l, err := license.New(license.Request{Name: name, App: "shop", Customer: "Acme"}, hash)
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Create(t.Context(), l)
		return err
	}
	if err := create("new"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "license-new.yml")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if l, err := store.Get(t.Context(), "new"); err != nil || l.Spec.Credentials[0].SHA256 != hash {
		t.Errorf("%+v, %v", l, err)
	}
	for name, want := range map[string]string{"new": "already", "acme": "already", "taken": "there is a file " + filepath.Join(dir, "license-taken.yml")} {
		if err := create(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("create %s: %v", name, err)
		}
	}
	if _, exists := errors.AsType[*license.ExistsError](create("acme")); !exists {
		t.Error("a taken name is not told from other mistakes")
	}
	leftOver(t, dir, "all.yml", "license-new.yml", "license-taken.yml")
}

// leftOver checks the files of the directory, hidden ones too.
func leftOver(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files %v, want %v", got, want)
	}
}

func TestDirectoryDelete(t *testing.T) {
	store, dir, _ := directory(t, map[string]string{"all.yml": "# ours\n---\n" + licenseYAML("a") + "---\n" + licenseYAML("b"), "one.yml": licenseYAML("c")})
	for _, name := range []string{"a", "c"} {
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "all.yml"))
	if err != nil || string(text) != "# ours\n---\n"+licenseYAML("b") {
		t.Errorf("%v\n%s", err, text)
	}
	leftOver(t, dir, "all.yml")
	if err := store.Delete(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	leftOver(t, dir)
	if _, missing := errors.AsType[*license.NotFoundError](store.Delete(t.Context(), "b")); !missing {
		t.Error("a license that is not there can be deleted")
	}
}

func TestDirectoryRefuses(t *testing.T) {
	store, dir, _ := directory(t, map[string]string{"a.yml": licenseYAML("twice"), "b.yml": licenseYAML("twice")})
	if _, err := store.Get(t.Context(), "twice"); err == nil || !strings.Contains(err.Error(), "is both in "+filepath.Join(dir, "a.yml")) {
		t.Error(err)
	}
	gone := license.NewDirectory(filepath.Join(dir, "none"), nil)
	if _, err := gone.List(t.Context()); err == nil || !strings.Contains(err.Error(), "read the licenses' directory") {
		t.Error(err)
	}
}

// What means two things at once cannot be edited for one of them; the file stays as it is.
func TestUpdateRefusesAnchors(t *testing.T) {
	text := head + "metadata: {name: acme}\nspec:\n  appSlug: &x shop\n  customerName: *x\n  expiresAt: &t 2027-01-01T00:00:00Z\n" +
		"  credentials: [{name: license-id, sha256: " + hash + ", expiresAt: *t}]\n"
	store, dir, _ := directory(t, map[string]string{"a.yml": text})
	end, err := license.ParseEnd("2028-01-01")
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Update(t.Context(), "acme", func(l *v1alpha1.License) error { return license.Extend(l, end, now()) })
	if err == nil || !strings.Contains(err.Error(), "change it by hand") {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.yml")); err != nil || string(got) != text {
		t.Errorf("%v\n%s", err, got)
	}
	leftOver(t, dir, "a.yml")
}

// TestUpdateSeesOthers changes the file while it is being edited: the edit begins anew, on what is there now.
func TestUpdateSeesOthers(t *testing.T) {
	store, dir, _ := directory(t, map[string]string{"a.yml": licenseYAML("acme")})
	calls := 0
	_, err := store.Update(t.Context(), "acme", func(l *v1alpha1.License) error {
		if calls++; calls == 1 {
			if err := os.WriteFile(filepath.Join(dir, "a.yml"), []byte(strings.Replace(licenseYAML("acme"), "shop", "store", 1)), 0o600); err != nil {
				t.Error(err)
			}
		}
		license.Revoke(l, now())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := store.Get(t.Context(), "acme")
	if err != nil || l.Spec.AppSlug != "store" || !l.Spec.Revoked || calls != 2 {
		t.Errorf("%d calls: %+v, %v", calls, l, err)
	}
}

func TestUpdateKeepsLinksAndModes(t *testing.T) {
	store, dir, _ := directory(t, nil)
	target := filepath.Join(t.TempDir(), "acme.yaml")
	if err := os.WriteFile(target, []byte(licenseYAML("acme")), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "acme.yml")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Update(t.Context(), "acme", func(l *v1alpha1.License) error { license.Revoke(l, now()); return nil }); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != target {
		t.Errorf("%s, %v", to, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestCreateAtOnce: of many who take a name at the same moment one gets it.
func TestCreateAtOnce(t *testing.T) {
	store, dir, _ := directory(t, nil)
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			l, err := license.New(license.Request{Name: "acme", App: "shop", Customer: fmt.Sprint("Customer ", i)}, v1alpha1.Hash(fmt.Sprint(i)))
			if err == nil {
				_, err = store.Create(t.Context(), l)
			}
			errs[i] = err
		})
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d got the name: %v", won, errs)
	}
	leftOver(t, dir, "license-acme.yml")
}

const mistaken = `# Acme has paid.
` + head + `metadata: {name: acme}  # as in the CRM
spec:
  appSlug: shop
  customerName: Acme

  expiresAt: 2027-02-30T00:00:00Z  # a day that is none
---
`

// TestAMistakeKeepsNobodyFromRevoking: of a license with a mistake an older version may be in force.
func TestAMistakeKeepsNobodyFromRevoking(t *testing.T) {
	registry := "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: ExternalRegistry\nmetadata: {name: acme}\nspec: {hostnome: quay.io}\n"
	store, dir, _ := directory(t, map[string]string{"acme.yml": mistaken + licenseYAML("beta"), "registry.yml": registry})
	if _, err := store.Get(t.Context(), "acme"); err == nil || !strings.Contains(err.Error(), "acme.yml: line 9: spec.expiresAt") {
		t.Errorf("looked up: %v", err)
	}
	l, err := license.Preview(store).Revoke(t.Context(), "acme", now())
	if err != nil || !l.Spec.Revoked {
		t.Errorf("previewed: %+v, %v", l, err)
	}
	text := func() string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "acme.yml"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := text(); got != mistaken+licenseYAML("beta") {
		t.Errorf("the preview wrote\n%s", got)
	}
	for range 2 { // the second time there is nothing to do
		if l, err := store.Revoke(t.Context(), "acme", now()); err != nil || l.Name != "acme" || !l.Spec.Revoked {
			t.Fatalf("%+v, %v", l, err)
		}
		want := strings.Replace(mistaken, "{name: acme} ", `{name: acme, annotations: {imageproxy.apps.tanzu.vmware.com/revoked-at: "2026-11-21T08:00:00Z"}}`, 1)
		want = strings.Replace(want, "a day that is none\n", "a day that is none\n  revoked: true\n", 1)
		if diff := cmp.Diff(want+licenseYAML("beta"), text()); diff != "" {
			t.Errorf("file (-want +got):\n%s", diff)
		}
	}
	if err := store.Delete(t.Context(), "acme"); err != nil || strings.Contains(text(), "Acme") {
		t.Errorf("%v\n%s", err, text())
	}
	leftOver(t, dir, "acme.yml", "registry.yml")
}

// What cannot be edited without losing what is written stays as it is.
func TestRevokeLeavesWhatItCannotEdit(t *testing.T) {
	for name, spec := range map[string]string{"no mapping": "[customer, app]", "an alias": "*there"} {
		t.Run(name, func(t *testing.T) {
			text := head + "metadata: {name: acme, labels: &there {a: b}}\nspec: " + spec + "\n"
			store, dir, _ := directory(t, map[string]string{"acme.yml": text})
			_, err := store.Revoke(t.Context(), "acme", now())
			got, _ := os.ReadFile(filepath.Join(dir, "acme.yml"))
			if err == nil || !strings.Contains(err.Error(), "by hand") || string(got) != text {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}
