// SPDX-License-Identifier: Apache-2.0

package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLicenseMistakes holds that bad input gets one clear line, the right exit code, and leaves nothing
// behind.
func TestLicenseMistakes(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		made(t, s.license("create", "--app", "shop", "--customer", "Acme", "-o", "json"))
		there := filepath.Join(t.TempDir(), "there")
		if err := os.WriteFile(there, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		create := []string{"create", "--app", "shop", "--customer", "Acme"}
		tests := []struct {
			name string
			args []string
			code int
			want string
		}{
			{"no such license", []string{"show", "nobody"}, 1, `there is no license "nobody" in `},
			{"revoke nobody", []string{"revoke", "nobody", "--yes"}, 1, `there is no license "nobody" in `},
			{"delete nobody", []string{"delete", "nobody", "--yes"}, 1, `there is no license "nobody" in `},
			{"extend nobody", []string{"extend", "nobody", "--expires", "30d"}, 1, `there is no license "nobody" in `},
			{"rotate nobody", []string{"rotate", "nobody"}, 1, `there is no license "nobody" in `},
			{"a name that exists", []string{"create", "acme", "--app", "shop", "--customer", "Acme"}, 1, `there is a license "acme" in `},
			{"a name that is none", []string{"create", "A_B", "--app", "shop", "--customer", "Acme"}, 2, `NAME "A_B" is not the name of an object`},
			{"no name to be made", []string{"create", "--app", "shop", "--customer", "会社"}, 2, "--customer: the customer's name makes no license name"},
			{"an app that is none", []string{"create", "--app", "My App", "--customer", "Acme"}, 2, `--app "My App" is not an application's slug`},
			{"a date that is none", append(create, "--expires", "2027-02-30"), 2, `--expires "2027-02-30": write a span of time such as 30d`},
			{"a date in the past", append(create, "--expires", "2001-01-01"), 2, `--expires "2001-01-01" lies in the past`},
			{"a domain that is none", append(create, "--domain", "https://proxy.example.com"), 2, `--domain "https://proxy.example.com" is not a domain`},
			{"a license file that is there", append(create, "--license-file", there), 1, "--license-file " + there + " exists already: name another file, or remove it"},
			{"an end too far away", append(create, "--expires", "1000000d"), 2, `--expires "1000000d": is too long a span of time`},
			{"no app", []string{"create", "--customer", "Acme"}, 2, "--app is missing"},
			{"no customer", []string{"create", "--app", "shop"}, 2, "--customer is missing"},
			{"two names", append(create, "a", "b"), 2, `argument "b" is one too many`},
			{"no license", []string{"show"}, 2, "NAME is missing"},
			{"no end", []string{"extend", "acme"}, 2, "--expires is missing"},
			{"an end in the past", []string{"extend", "acme", "--expires", "2001-01-01"}, 2, "lies in the past; to end a license now, revoke it"},
			{"a span without an end", []string{"extend", "acme", "--expires", "30d"}, 1, "license acme does not end, so a span of time would shorten it"},
			{"no number of pulls", []string{"edit", "acme"}, 2, "nothing to change: write --image, --add-image, --remove-image, --all-images or --concurrent-pulls"},
			{"an image by digest", append(create, "--image", "team/api@sha256:abc"), 2, `--image "team/api@sha256:abc" names a digest: write repository[:tag] such as team/api:v1.*`},
			{"an image with a scheme", append(create, "--image", "https://quay.io/team/api"), 2, `--image "https://quay.io/team/api" has a scheme`},
			{"no image", append(create, "--image", ""), 2, `--image "" is empty`},
			{"an image twice", append(create, "--image", "a", "--image", "a"), 2, "spec.images[1]: is there twice: keep one of them"},
			{"one more than all", []string{"edit", "acme", "--add-image", "team/web"}, 1, "license acme opens all images of its application, so adding one would take the others away"},
			{"one less than all", []string{"edit", "acme", "--remove-image", "team/web"}, 1, `license acme does not have the pattern "team/web"; it has all`},
			{"some and all", []string{"edit", "acme", "--image", "team/web", "--all-images"}, 2, "--image, --all-images, and --add-image with --remove-image contradict each other"},
			{"no pulls", []string{"edit", "acme", "--concurrent-pulls", "0"}, 2, `--concurrent-pulls "0": write a number from 1 to 10000, or default`},
			{"too many pulls", append(create, "--concurrent-pulls", "10001"), 2, `--concurrent-pulls "10001": write a number`},
			{"pulls in words", append(create, "--concurrent-pulls", "many"), 2, `--concurrent-pulls "many": write a number`},
			{"edit nobody", []string{"edit", "nobody", "--concurrent-pulls", "5"}, 1, `there is no license "nobody" in `},
			{"both", []string{"rotate", "acme", "--now", "--keep-old", "1d"}, 2, "--now and --keep-old contradict each other"},
			{"no span", []string{"rotate", "acme", "--keep-old", "0"}, 2, `--keep-old "0": write a span of time`},
			{"an unknown dry run", []string{"rotate", "acme", "--dry-run", "perhaps"}, 2, `--dry-run "perhaps": choose one of none, client, server`},
			{"an unknown format", []string{"list", "-o", "xml"}, 2, `--output "xml": choose one of wide, name, json, yaml`},
			{"a proxy's address", []string{"list", "--server", "http://localhost:5002"}, 2, "--server names a proxy"},
			{"an unknown command", []string{"renew"}, 2, `unknown command "renew"`},
			{"a misspelt command", []string{"crate"}, 2, `unknown command "crate": did you mean create?`},
			{"a limit of none", []string{"pulls", "acme", "--log", there, "--limit", "0"}, 2, "--limit 0: show at least 1"},
			{"since when", []string{"pulls", "acme", "--log", there, "--since", "yesterday"}, 2, `--since "yesterday"`},
			{"no such log", []string{"pulls", "acme", "--log", there + "x"}, 1, "read the log: open " + there + "x"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				out := s.license(tt.args...)
				out.want(t, tt.code, "", tt.want)
				if lines := strings.Count(out.err, "\n"); lines != 1 {
					t.Errorf("%d lines:\n%s", lines, out.err)
				}
			})
		}
		s.license("list", "-o", "name").want(t, 0, `license\.imageproxy\.apps\.tanzu\.vmware\.com/acme\n`, "")
	})
}

// TestLicenseFileOfAFailure: where nothing was stored, no file and no id say otherwise.
func TestLicenseFileOfAFailure(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		made(t, s.license("create", "--app", "shop", "--customer", "Acme", "-o", "json"))
		file := filepath.Join(t.TempDir(), "acme.yml")
		for _, args := range [][]string{{"create", "acme", "--app", "shop", "--customer", "Acme"}, {"rotate", "nobody"}} {
			out := s.license(append(args, "--license-file", file)...)
			if _, err := os.Stat(file); !os.IsNotExist(err) || out.code != 1 || out.out != "" || regexp.MustCompile(`[A-Z2-7]{26}`).MatchString(out.err) {
				t.Errorf("%v: %+v, %v", args, out, err)
			}
		}
	})
}

func TestLicenseClusterSaysNo(t *testing.T) {
	w := newWorld(t)
	w.run("license", "list", "--context", "stranger").want(t, 1, "", "you may not list licenses.imageproxy.apps.tanzu.vmware.com in namespace tap-local-source-system: ask the cluster's operator")
	w.run("license", "list", "--context", "expired").want(t, 1, "", "log in again, or choose another --context")
	w.api.Without = "licenses"
	w.run("license", "list", "-n", "other").want(t, 1, "", "the cluster has no licenses (licenses.imageproxy.apps.tanzu.vmware.com): install the package with image_proxy.enabled")
	w.run("license", "list", "--dir", "/no/such").want(t, 1, "", "read the licenses' directory: open /no/such: no such file or directory")
}

// TestLicenseDirWithMistakes: what is wrong in the directory is said, and does not hide the rest.
func TestLicenseDirWithMistakes(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	for name, text := range map[string]string{"broken.yml": "a: [\n", "license-old.yml": "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: old}\nspec: {appSlug: shop, customerName: Old, expiresAt: soon}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.run("license", "create", "--dir", dir, "--app", "shop", "--customer", "Acme").want(t, 0, `(?s)license.*/acme created\n.*`, "")
	out := w.run("license", "list", "--dir", dir)
	out.want(t, 0, `NAME.*\nacme .*\n`, "Left out: "+filepath.Join(dir, "broken.yml")+": line ")
	if !strings.Contains(out.err, "license-old.yml: line 4: spec.expiresAt: is not a time of RFC 3339") {
		t.Error(out.err)
	}
	w.run("license", "extend", "old", "--dir", dir, "--expires", "30d").want(t, 1, "", "spec.expiresAt: is not a time of RFC 3339")
	w.run("license", "delete", "old", "--dir", dir, "--dry-run", "client").want(t, 0, `license.*/old deleted \(dry run\)\n`, "License old has a mistake: ")
	w.run("license", "revoke", "old", "--dir", dir, "--yes").want(t, 0, `license.*/old revoked\n`, "License old has a mistake: ")
	if text, err := os.ReadFile(filepath.Join(dir, "license-old.yml")); err != nil || !strings.Contains(string(text), "revoked: true") {
		t.Errorf("%v\n%s", err, text)
	}
	w.run("license", "delete", "old", "--dir", dir, "--yes").want(t, 0, `license.*/old deleted\n`, "License old has a mistake: ")
}

// TestLicenseWithoutIDs: it is no mistake, admits nobody, and is told apart from one that has ended.
func TestLicenseWithoutIDs(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	text := "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: License\nmetadata: {name: acme}\nspec: {appSlug: shop, customerName: Acme}\n"
	if err := os.WriteFile(filepath.Join(dir, "license-acme.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("license", "list", "--dir", dir).want(t, 0, `NAME.*\nacme .* no-ids .*\n`, "")
	w.run("license", "show", "acme", "--dir", dir).want(t, 0, `(?s).*State: +no-ids\n.*`, "")
	w.run("license", "extend", "acme", "--expires", "never", "--dir", dir).want(t, 0, `.*`,
		"License acme has no ids, so nobody can pull with it. To make one: kubectl lsp license rotate acme --dir "+dir)
	w.run("license", "rotate", "acme", "--dir", dir).want(t, 0, `(?s).*`, "")
	w.run("license", "list", "--dir", dir).want(t, 0, `NAME.*\nacme .* valid .*\n`, "")
}

// TestLicenseEmptyDir: a variable of the shell that is not set must not lead to the cluster.
func TestLicenseEmptyDir(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{
		{"list"}, {"create", "--app", "shop", "--customer", "Acme"}, {"show", "acme"}, {"revoke", "acme", "--yes"}, {"extend", "acme", "--expires", "1d"},
		{"rotate", "acme"}, {"delete", "acme", "--yes"}, {"pulls", "acme"}, {"edit", "acme", "--concurrent-pulls", "5"},
	} {
		w.run(append(append([]string{"license"}, args...), "--dir", "")...).want(t, 2, "", "--dir is empty: name the directory, or leave --dir out for the cluster")
	}
}

// TestLicenseHints: a command in a message works as it is typed.
func TestLicenseHints(t *testing.T) {
	w, dir := newWorld(t), filepath.Join(t.TempDir(), "of a vendor")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.run("license", "show", "nobody", "--dir", dir).want(t, 1, "", "to list the others: kubectl lsp license list --dir '"+dir+"'\n")
	w.run("license", "show", "nobody", "-n", "other").want(t, 1, "", "kubectl lsp license list --namespace other\n")
	w.run("license", "show", "nobody").want(t, 1, "", "kubectl lsp license list\n")
}

// TestLicenseTwiceInDir: of two with one name or one id, the server lets the first in alone.
func TestLicenseTwiceInDir(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	w.run("license", "create", "--dir", dir, "--app", "shop", "--customer", "Acme").want(t, 0, ".*", "")
	text, err := os.ReadFile(filepath.Join(dir, "license-acme.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"same-name.yml": string(text), "same-id.yml": strings.Replace(string(text), "name: acme", "name: beta", 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := w.run("license", "list", "--dir", dir)
	out.want(t, 0, `NAME[^\n]*\nacme [^\n]*valid[^\n]*\n`, "same-name.yml: license acme is in "+filepath.Join(dir, "license-acme.yml")+" already")
	if !strings.Contains(out.err, `same-id.yml: license beta: the id of "license-id" belongs to license acme`) {
		t.Error(out.err)
	}
}
