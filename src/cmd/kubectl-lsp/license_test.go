// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/customerlicense"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
)

// shop is a place for licenses: what to add to each command, and a look behind the command's back.
type shop struct {
	*world
	flags  []string
	stored func(name string) *imageproxy.License
}

// shops are the cluster and a directory; everything must be the same in both.
func shops(t *testing.T, test func(t *testing.T, s *shop)) {
	t.Helper()
	t.Run("cluster", func(t *testing.T) {
		w := newWorld(t)
		test(t, &shop{world: w, stored: func(name string) *imageproxy.License {
			object := w.api.Object("licenses", "tap-local-source-system", name)
			if object == nil {
				return nil
			}
			text, err := json.Marshal(object)
			l := &imageproxy.License{}
			if err == nil {
				err = json.Unmarshal(text, l)
			}
			if err != nil {
				t.Fatal(err)
			}
			return l
		}})
	})
	t.Run("directory", func(t *testing.T) {
		w, dir := newWorld(t), t.TempDir()
		t.Setenv("KUBECONFIG", "/nonexistent") // no cluster is needed
		test(t, &shop{world: w, flags: []string{"--dir", dir}, stored: func(name string) *imageproxy.License {
			text, err := os.ReadFile(filepath.Join(dir, "license-"+name+".yml"))
			if os.IsNotExist(err) {
				return nil
			}
			objects, err := imageproxy.Parse(name, text)
			if err != nil || len(objects) != 1 {
				t.Fatalf("%d objects, %v\n%s", len(objects), err, text)
			}
			return objects[0].(*imageproxy.License)
		}})
	})
}

func (s *shop) license(args ...string) outcome { return s.reply("", args...) }

func (s *shop) reply(input string, args ...string) outcome {
	s.Helper()
	return s.answer(input, append(append([]string{"license"}, args...), s.flags...)...)
}

// made reads what -o json prints.
func made(t *testing.T, o outcome) handout {
	t.Helper()
	var h handout
	if err := json.Unmarshal([]byte(o.out), &h); err != nil || o.code != 0 || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	return h
}

func TestLicenseCreate(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		file := filepath.Join(t.TempDir(), "acme.yml")
		h := made(t, s.license("create", "--app", "shop", "--customer", "Acme Inc.", "--email", "ops@acme.example", "--expires", "2099-01-01",
			"--domain", "proxy.example.com", "-o", "json"))
		l := s.stored("acme-inc")
		if l == nil || l.Spec.Credentials[0].SHA256 != imageproxy.Hash(h.ID) || l.Spec.CustomerEmail != "ops@acme.example" || l.Spec.ExpiresAt != "2099-01-01T00:00:00Z" {
			t.Fatalf("stored: %+v", l)
		}
		config, err := dockerconfig.Parse("the pull Secret", h.PullSecret.Data[".dockerconfigjson"])
		if err != nil {
			t.Fatal(err)
		}
		if c, err := config.Credential(t.Context(), "proxy.example.com"); err != nil || c.Password != h.ID {
			t.Errorf("the pull Secret has another id, %v", err)
		}
		if want := "printf %s " + h.ID + " | docker login proxy.example.com --username LICENSE_ID --password-stdin"; h.DockerLogin != want {
			t.Errorf("login %s", h.DockerLogin)
		}
		given, err := customerlicense.Parse("file", []byte(h.LicenseFile))
		if err != nil || given.ID != h.ID || given.App != "shop" || given.Domain != "proxy.example.com" || given.CustomerName != "Acme Inc." {
			t.Errorf("license file %+v, %v", given, err)
		}

		text := s.license("create", "--app", "shop", "--customer", "Acme Inc.", "--domain", "proxy.example.com", "--license-file", file)
		text.want(t, 0, `license\.imageproxy\.apps\.tanzu\.vmware\.com/acme-inc-2 created\n\nThe license id, .*\n[A-Z2-7]{26}\n.*--password-stdin\n.*name: shop-registry\n.*`, "Wrote the customer's license file "+file)
		written, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		given, err = customerlicense.Parse(file, written)
		if err != nil || imageproxy.Hash(given.ID) != s.stored("acme-inc-2").Spec.Credentials[0].SHA256 || strings.Count(text.out, given.ID) != 2 {
			t.Errorf("license file %+v, %v", given, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("others can read the file: %v, %v", info, err)
		}

		named := s.license("create", "third", "--app", "shop", "--customer", "Acme Inc.", "-o", "name")
		named.want(t, 0, `license\.imageproxy\.apps\.tanzu\.vmware\.com/third\n`, "Say --domain, and the login line and the pull Secret are here.")
		if id := regexp.MustCompile(`(?m)^[A-Z2-7]{26}$`).FindString(named.err); imageproxy.Hash(id) != s.stored("third").Spec.Credentials[0].SHA256 {
			t.Errorf("the id is not on standard error:\n%s", named.err)
		}
	})
}

// TestLicenseDryRun: nothing is stored; what the client prints can be applied, and has no secret in it.
func TestLicenseDryRun(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		out := s.license("create", "--app", "shop", "--customer", "Acme", "--dry-run=client", "-o", "yaml")
		objects, err := imageproxy.Parse("", []byte(out.out))
		if err != nil || len(objects) != 1 || s.stored("acme") != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		id := regexp.MustCompile(`(?m)^[A-Z2-7]{26}$`).FindString(out.err)
		if objects[0].(*imageproxy.License).Spec.Credentials[0].SHA256 != imageproxy.Hash(id) || strings.Contains(out.out, id) {
			t.Errorf("%+v", out)
		}
		made(t, s.license("create", "--app", "shop", "--customer", "Acme", "-o", "json"))
		before := s.stored("acme")
		for _, command := range [][]string{{"revoke", "acme"}, {"delete", "acme"}, {"extend", "acme", "--expires", "2099-01-01"}} {
			s.license(append(command, "--dry-run=client")...).want(t, 0, `license.*/acme [a-z]+ \(dry run\)\n`, "")
		}
		s.license("rotate", "acme", "--dry-run=client").want(t, 0, `license.*/acme rotated \(dry run\)\n\nThe license id.*`, "")
		if after := s.stored("acme"); after == nil || after.Spec.Revoked || len(after.Spec.Credentials) != 1 || after.Spec.ExpiresAt != before.Spec.ExpiresAt {
			t.Errorf("something was stored: %+v", after)
		}
	})
}

func TestLicenseServerDryRun(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "acme.yml")
	out := w.run("license", "create", "--app", "shop", "--customer", "Acme", "--dry-run=server", "--license-file", file)
	out.want(t, 0, `license\.imageproxy\.apps\.tanzu\.vmware\.com/acme created \(server dry run\)\n`, "")
	if _, err := os.Stat(file); !os.IsNotExist(err) || w.api.Object("licenses", "tap-local-source-system", "acme") != nil {
		t.Errorf("something was made: %v", err)
	}
	if regexp.MustCompile(`[A-Z2-7]{26}`).MatchString(out.out + out.err) {
		t.Errorf("an id that opens nothing is shown: %+v", out)
	}
	w.run("license", "create", "--dir", t.TempDir(), "--app", "a", "--customer", "b", "--dry-run=server").want(t, 2, "", "--dry-run=server needs a cluster")
}

// TestLicenseLife goes through all that is done with a license, and holds that its id is seen where it is made and nowhere else.
func TestLicenseLife(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		h := made(t, s.license("create", "--app", "shop", "--customer", "Acme", "--expires", "2099-01-01", "-o", "json", "--domain", "proxy.example.com"))
		ids := []string{h.ID}
		step := func(input, want, said string, args ...string) {
			t.Helper()
			out := s.reply(input, args...)
			out.want(t, 0, want, said)
			for _, id := range ids {
				for _, form := range []string{id, base64.StdEncoding.EncodeToString([]byte(customerlicense.Username + ":" + id))} {
					if strings.Contains(out.out+out.err, form) {
						t.Errorf("%v shows the id: %+v", args, out)
					}
				}
			}
		}
		step("", `NAME +APP +CUSTOMER +STATE +EXPIRES +LAST PULLED +PULLS\nacme +shop +Acme +valid +in \d+y +<none> +0\n`, "", "list")
		step("", `(?s).*CREDENTIALS +EXPIRES AT +REVOKED AT\nacme .* 1 +2099-01-01T00:00:00Z +<none>\n`, "", "list", "-o", "wide")
		step("", `license\.imageproxy\.apps\.tanzu\.vmware\.com/acme\n`, "", "list", "-o", "name", "--app", "shop", "--customer", "Acme")
		step("", ``, "No licenses in ", "list", "--app", "other")
		step("", `(?s).*"kind": "LicenseList".*"sha256": .*`, "", "list", "-o", "json")
		step("", `(?s)Name: +acme\nApplication: +shop\n.*State: +valid\n.*license-id, sha256 [0-9a-f]{12}\.\.\., valid, ends with the license\n.*`, "", "show", "acme")
		step("", `(?s)apiVersion: .*kind: License\n.*`, "", "show", "acme", "-o", "yaml")
		step("", `license.*/acme extended\n`, "", "extend", "acme", "--expires", "2100-01-01")
		if got := s.stored("acme").Spec.ExpiresAt; got != "2100-01-01T00:00:00Z" {
			t.Errorf("ends %s", got)
		}

		refusal := s.reply("no\n", "revoke", "acme")
		refusal.want(t, 1, "", `Revoke license acme of "Acme" for shop in `)
		s.license("revoke", "acme").want(t, 1, "", "nobody answered; say --yes")
		if s.stored("acme").Spec.Revoked {
			t.Error("revoked without consent")
		}
		step("y\n", `license.*/acme revoked\n`, "[y/N]", "revoke", "acme")
		if l := s.stored("acme"); !l.Spec.Revoked || l.Annotations[imageproxy.RevokedAtAnnotation] == "" {
			t.Errorf("%+v", l)
		}
		step("", `(?s).*State: +revoked\n.*Revoked: +20.*`, "", "show", "acme")
		step("", `license.*/acme extended\n`, "License acme is revoked, so nobody can pull with it", "extend", "acme", "--expires", "never")
		step("", `license.*/acme restored\n`, "", "revoke", "acme", "--undo")
		if l := s.stored("acme"); l.Spec.Revoked || l.Annotations[imageproxy.RevokedAtAnnotation] != "" {
			t.Errorf("%+v", l)
		}

		again := made(t, s.license("rotate", "acme", "--keep-old", "2w", "-o", "json"))
		l := s.stored("acme")
		if len(l.Spec.Credentials) != 2 || l.Spec.Credentials[0].ExpiresAt == "" || l.Spec.Credentials[1].SHA256 != imageproxy.Hash(again.ID) || again.ID == h.ID {
			t.Errorf("%+v", l.Spec.Credentials)
		}
		ids = append(ids, again.ID)
		step("", `(?s).*license-id, sha256 .*ends 20.* in \d+d\n.*license-id-2, sha256 .*`, "", "show", "acme")
		last := made(t, s.license("rotate", "acme", "--now", "-o", "json"))
		if l := s.stored("acme"); len(l.Spec.Credentials) != 1 || l.Spec.Credentials[0].SHA256 != imageproxy.Hash(last.ID) {
			t.Errorf("%+v", l.Spec.Credentials)
		}
		ids = append(ids, last.ID)
		step("", `license.*/acme deleted\n`, "", "delete", "acme", "--yes")
		if s.stored("acme") != nil {
			t.Error("it is still there")
		}
	})
}

// TestLicenseMistakes holds that bad input gets one clear line, the right exit code, and leaves nothing behind.
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
			{"a name that is none", []string{"create", "A_B", "--app", "shop", "--customer", "Acme"}, 1, "metadata.name: is not the name of an object"},
			{"no name to be made", []string{"create", "--app", "shop", "--customer", "会社"}, 1, "--customer: no name can be made"},
			{"an app that is none", []string{"create", "--app", "My App", "--customer", "Acme"}, 1, "spec.appSlug: is not a slug"},
			{"a date that is none", append(create, "--expires", "2027-02-30"), 2, `--expires "2027-02-30": write a span of time such as 30d`},
			{"a date in the past", append(create, "--expires", "2001-01-01"), 1, `--expires "2001-01-01" lies in the past`},
			{"a domain that is none", append(create, "--domain", "https://proxy.example.com"), 1, `--domain "https://proxy.example.com" is not a domain`},
			{"a license file that is there", append(create, "--license-file", there), 1, "make the customer's license file: open " + there},
			{"no app", []string{"create", "--customer", "Acme"}, 2, "--app is missing"},
			{"no customer", []string{"create", "--app", "shop"}, 2, "--customer is missing"},
			{"two names", append(create, "a", "b"), 2, `argument "b" is one too many`},
			{"no license", []string{"show"}, 2, "NAME is missing"},
			{"no end", []string{"extend", "acme"}, 2, "--expires is missing"},
			{"an end in the past", []string{"extend", "acme", "--expires", "2001-01-01"}, 1, "lies in the past; to end a license now, revoke it"},
			{"a span without an end", []string{"extend", "acme", "--expires", "30d"}, 1, "license acme does not end, so a span of time would shorten it"},
			{"both", []string{"rotate", "acme", "--now", "--keep-old", "1d"}, 2, "--now and --keep-old contradict each other"},
			{"no span", []string{"rotate", "acme", "--keep-old", "0"}, 2, `--keep-old "0": write a span of time`},
			{"an unknown dry run", []string{"rotate", "acme", "--dry-run", "perhaps"}, 2, `--dry-run "perhaps": choose one of none, client, server`},
			{"an unknown format", []string{"list", "-o", "xml"}, 2, `--output "xml": choose one of wide, name, json, yaml`},
			{"a proxy's address", []string{"list", "--server", "http://localhost:5002"}, 2, "--server leads to a proxy"},
			{"an unknown command", []string{"renew"}, 2, `argument "renew" is one too many`},
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
	w.run("license", "revoke", "old", "--dir", dir, "--yes").want(t, 1, "", "spec.expiresAt: is not a time of RFC 3339")
}

func pullLine(time, license, reference string) string {
	return `{"time":"2026-11-21T08:` + time + `Z","level":"INFO","msg":"pull","id":"R","customer":"Acme","license":"` + license +
		`","app":"shop","action":"manifest","image":"quay.io/team/api","reference":"` + reference + `","status":200,"success":true,"bytes":7,"duration":1500000,"remote":"192.0.2.1"}` + "\n"
}

func TestLicensePulls(t *testing.T) {
	w := newWorld(t)
	w.api.Put("licenses", "tap-local-source-system", "acme", map[string]any{"apiVersion": imageproxy.APIVersion, "kind": "License", "spec": map[string]any{"appSlug": "shop"}})
	w.run("license", "pulls", "acme").want(t, 1, "", "there is no pod app.kubernetes.io/name=image-proxy in namespace tap-local-source-system")
	w.api.Logs = map[string]string{
		"image-proxy-1": pullLine("01:00", "acme", "v1") + "no JSON\n" + pullLine("03:00", "acme", "v3"),
		"image-proxy-2": pullLine("02:00", "acme", "v2") + pullLine("02:30", "beta", "other"),
	}
	w.run("license", "pulls", "acme").want(t, 0, `(?s)TIME +ACTION +IMAGE +REFERENCE +STATUS +BYTES +DURATION\n2026-11-21T08:01:00Z +manifest +quay\.io/team/api +v1 +200 +7 +2ms\n\S+ .* v2 .*\n\S+ .* v3 .*\n`, "")
	out := w.run("license", "pulls", "acme", "--limit", "2", "-o", "json")
	var got []struct{ Reference, Remote string }
	if err := json.Unmarshal([]byte(out.out), &got); err != nil || len(got) != 2 || got[0].Reference != "v2" || got[1].Remote != "192.0.2.1" {
		t.Errorf("%v: %+v", err, out)
	}
	w.run("license", "pulls", "acme", "--since", "1ns", "-o", "yaml").want(t, 0, `\[\]\n`, "")
	w.run("license", "pulls", "nobody").want(t, 1, "", `there is no license "nobody"`)
	w.run("license", "pulls", "acme", "--dir", t.TempDir()).want(t, 2, "", "a directory has no log: name the server's with --log FILE")
	w.answer(w.api.Logs["image-proxy-2"], "license", "pulls", "beta", "--log", "-").want(t, 0, `(?s).* other .*`, "")
	w.write("server.log", w.api.Logs["image-proxy-1"])
	w.run("license", "pulls", "acme", "--log", filepath.Join(w.tree, "server.log"), "-o", "wide").want(t, 0, `(?s).*REMOTE +ERROR +ID\n.*192\.0\.2\.1 +<none> +R\n`, "")
	w.run("license", "pulls", "gone", "--log", filepath.Join(w.tree, "server.log")).want(t, 0, "", "No pulls with license gone in the log.")
}

func TestLicenseCompletion(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		made(t, s.license("create", "--app", "shop", "--customer", "Acme", "-o", "json"))
		for partial, want := range map[string]string{
			"show ": "acme\tAcme\n", "revoke a": "acme\tAcme\n", "rotate acme ": ":4\n", "list -o ": "wide\nname\njson\nyaml\n", "revoke --dry-run ": "none\nclient\nserver\n",
		} {
			words := strings.Split(partial, " ")
			args := append(append([]string{"__complete", "license"}, s.flags...), words...)
			if out := s.answer("", args...); !strings.HasPrefix(out.out, want) {
				t.Errorf("completion of %q:\n%s(want %q first)", partial, out.out, want)
			}
		}
	})
}

func TestLicenseObjectsAreYAML(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		out := s.license("create", "--app", "shop", "--customer", "Acme", "-o", "yaml")
		var l imageproxy.License
		if err := yaml.UnmarshalStrict([]byte(out.out), &l); err != nil || l.Name != "acme" || l.Kind != imageproxy.LicenseKind {
			t.Errorf("%v: %+v", err, out)
		}
	})
}
