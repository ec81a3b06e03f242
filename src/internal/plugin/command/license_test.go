// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// shop is a place for licenses: what to add to each command, and a look behind the command's back.
type shop struct {
	*world
	flags  []string
	stored func(name string) *v1alpha1.License
}

// shops are the cluster and a directory; everything must be the same in both.
func shops(t *testing.T, test func(t *testing.T, s *shop)) {
	t.Helper()
	t.Run("cluster", func(t *testing.T) {
		w := newWorld(t)
		test(t, &shop{world: w, stored: func(name string) *v1alpha1.License {
			object := w.api.Object("licenses", "tap-local-source-system", name)
			if object == nil {
				return nil
			}
			text, err := json.Marshal(object)
			l := &v1alpha1.License{}
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
		test(t, &shop{world: w, flags: []string{"--dir", dir}, stored: func(name string) *v1alpha1.License {
			text, err := os.ReadFile(filepath.Join(dir, "license-"+name+".yml"))
			if os.IsNotExist(err) {
				return nil
			}
			objects, err := v1alpha1.Parse(name, text)
			if err != nil || len(objects) != 1 {
				t.Fatalf("%d objects, %v\n%s", len(objects), err, text)
			}
			return objects[0].(*v1alpha1.License)
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

// TestLicenseListChooses: what is listed, and in which order.
func TestLicenseListChooses(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		for _, args := range []string{
			"zeta --app shop --customer A --expires 10d", "alpha --app shop --customer C --expires 20d",
			"mid --app cart --customer B --expires 90d", "ever --app cart --customer D",
		} {
			s.license(append([]string{"create"}, strings.Fields(args)...)...).want(t, 0, ".*", "")
		}
		for args, want := range map[string]string{
			"":                                 "alpha ever mid zeta",
			"--expiring 30d":                   "alpha zeta",
			"--expiring 30d --sort-by expires": "zeta alpha",
			"--sort-by expires":                "zeta alpha mid ever",
			"--sort-by customer":               "zeta mid alpha ever",
			"--sort-by app --app cart":         "ever mid",
			"-l tier=gold":                     "",
			"-l tier!=gold --app shop":         "alpha zeta",
			"--no-headers --customer A":        "zeta",
		} {
			named := s.license(append([]string{"list", "-o", "name"}, strings.Fields(args)...)...)
			got := strings.ReplaceAll(named.out, "license.imageproxy.apps.tanzu.vmware.com/", "")
			if strings.Join(strings.Fields(got), " ") != want || named.code != 0 {
				t.Errorf("%s: %s%s, want %s", args, named.out, named.err, want)
			}
		}
		s.license("list", "--no-headers", "--customer", "A").want(t, 0, "zeta  [^\n]*\n", "")
		s.license("ls", "--customer", "A").want(t, 0, "NAME .*\nzeta  [^\n]*\n", "")
		s.license("get", "zeta").want(t, 0, "Name: .*zeta\n.*", "")
		s.license("list", "--sort-by", "colour").want(t, 2, "", `--sort-by "colour": choose one of app, customer, expires, name, pulls`)
		s.license("list", "--expiring", "soon").want(t, 2, "", `--expiring "soon": write a span of time`)
		s.license("list", "-l", "=").want(t, 2, "", `--selector "="`)
		s.license("extend", "zeta", "--expires", "2099-01-01").want(t, 0, ".* extended until 2099-01-01T00:00:00Z\n", "")
		s.license("extend", "zeta", "--expires", "never").want(t, 0, ".* extended, does not end\n", "")
	})
}

func TestLicenseCreate(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		file := filepath.Join(t.TempDir(), "acme.yml")
		h := made(t, s.license("create", "--app", "shop", "--customer", "Acme Inc.", "--email", "ops@acme.example", "--expires", "2099-01-01",
			"--domain", "proxy.example.com", "-o", "json"))
		l := s.stored("acme-inc")
		if l == nil || l.Spec.Credentials[0].SHA256 != v1alpha1.Hash(h.ID) || l.Spec.CustomerEmail != "ops@acme.example" || l.Spec.ExpiresAt != "2099-01-01T00:00:00Z" {
			t.Fatalf("stored: %+v", l)
		}
		config, err := dockerconfig.Parse("pull Secret", h.PullSecret.Data[".dockerconfigjson"])
		if err != nil {
			t.Fatal(err)
		}
		if c, err := config.Credential(t.Context(), "proxy.example.com"); err != nil || c.Password != h.ID {
			t.Errorf("the pull Secret has another id, %v", err)
		}
		if want := "docker login proxy.example.com --username LICENSE_ID"; h.DockerLogin != want {
			t.Errorf("login %s", h.DockerLogin)
		}
		given, err := license.ParseCustomerLicense("file", []byte(h.LicenseFile))
		if err != nil || given.ID != h.ID || given.App != "shop" || given.Domain != "proxy.example.com" || given.CustomerName != "Acme Inc." {
			t.Errorf("license file %+v, %v", given, err)
		}

		text := s.license("create", "--app", "shop", "--customer", "Acme Inc.", "--domain", "proxy.example.com", "--license-file", file)
		text.want(t, 0, `license\.imageproxy\.apps\.tanzu\.vmware\.com/acme-inc-2 created\n\nThe license id, .*\n[A-Z2-7]{26}\n.*docker login proxy.example.com --username LICENSE_ID\n.*name: shop-registry\n.*`, "Wrote the customer's license file "+file)
		written, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		given, err = license.ParseCustomerLicense(file, written)
		if err != nil || v1alpha1.Hash(given.ID) != s.stored("acme-inc-2").Spec.Credentials[0].SHA256 || strings.Count(text.out, given.ID) != 1 {
			t.Errorf("license file %+v, %v", given, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("others can read the file: %v, %v", info, err)
		}

		named := s.license("create", "third", "--app", "shop", "--customer", "Acme Inc.", "-o", "name")
		named.want(t, 0, `license\.imageproxy\.apps\.tanzu\.vmware\.com/third\n`, "With --domain this also shows the login line and the pull Secret.")
		if id := regexp.MustCompile(`(?m)^[A-Z2-7]{26}$`).FindString(named.err); v1alpha1.Hash(id) != s.stored("third").Spec.Credentials[0].SHA256 {
			t.Errorf("the id is not on standard error:\n%s", named.err)
		}
	})
}

// TestLicenseDryRun: nothing is stored; what the client prints can be applied, and has no secret in it.
func TestLicenseDryRun(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		out := s.license("create", "--app", "shop", "--customer", "Acme", "--dry-run=client", "-o", "yaml")
		objects, err := v1alpha1.Parse("", []byte(out.out))
		if err != nil || len(objects) != 1 || s.stored("acme") != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		id := regexp.MustCompile(`(?m)^[A-Z2-7]{26}$`).FindString(out.err)
		if objects[0].(*v1alpha1.License).Spec.Credentials[0].SHA256 != v1alpha1.Hash(id) || strings.Contains(out.out, id) {
			t.Errorf("%+v", out)
		}
		made(t, s.license("create", "--app", "shop", "--customer", "Acme", "-o", "json"))
		before := s.stored("acme")
		for _, command := range [][]string{{"revoke", "acme"}, {"delete", "acme"}, {"extend", "acme", "--expires", "2099-01-01"}} {
			s.license(append(command, "--dry-run=client")...).want(t, 0, `license.*/acme [a-z]+( until \S+)? \(dry run\)\n`, "")
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

// TestLicenseLife goes through all that is done with a license, and holds that its id is seen where it is
// made and nowhere else.
func TestLicenseLife(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		h := made(t, s.license("create", "--app", "shop", "--customer", "Acme", "--expires", "2099-01-01", "-o", "json", "--domain", "proxy.example.com"))
		ids := []string{h.ID}
		step := func(input, want, said string, args ...string) {
			t.Helper()
			out := s.reply(input, args...)
			out.want(t, 0, want, said)
			for _, id := range ids {
				for _, form := range []string{id, base64.StdEncoding.EncodeToString([]byte(license.Username + ":" + id))} {
					if strings.Contains(out.out+out.err, form) {
						t.Errorf("%v shows the id: %+v", args, out)
					}
				}
			}
		}
		step("", `NAME +APP +CUSTOMER +STATE +EXPIRES +LAST PULLED +PULLS\nacme +shop +Acme +valid +in \d+y +(<none> +0|- +-)\n`, "", "list")
		step("", `(?s).*CREDENTIALS +EXPIRES AT +REVOKED AT +IMAGES\nacme .* 1 +2099-01-01T00:00:00Z +<none> +all\n`, "", "list", "-o", "wide")
		step("", `license\.imageproxy\.apps\.tanzu\.vmware\.com/acme\n`, "", "list", "-o", "name", "--app", "shop", "--customer", "Acme")
		step("", ``, "No licenses in ", "list", "--app", "other")
		step("", `(?s).*"kind": "LicenseList".*"sha256": .*`, "", "list", "-o", "json")
		step("", `(?s)Name: +acme\nApplication: +shop\n.*State: +valid\n.*license-id, sha256 [0-9a-f]{12}\.\.\., valid, ends with the license\n.*`, "", "show", "acme")
		step("", `(?s)apiVersion: .*kind: License\n.*`, "", "show", "acme", "-o", "yaml")
		step("", `license.*/acme extended until 2100-01-01T00:00:00Z\n`, "", "extend", "acme", "--expires", "2100-01-01")
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
		if l := s.stored("acme"); !l.Spec.Revoked || l.Annotations[v1alpha1.RevokedAtAnnotation] == "" {
			t.Errorf("%+v", l)
		}
		step("", `(?s).*State: +revoked\n.*Revoked: +20.*`, "", "show", "acme")
		step("", `license.*/acme extended, does not end\n`, "License acme is revoked, so nobody can pull with it", "extend", "acme", "--expires", "never")
		step("", `license.*/acme restored\n`, "", "revoke", "acme", "--undo")
		if l := s.stored("acme"); l.Spec.Revoked || l.Annotations[v1alpha1.RevokedAtAnnotation] != "" {
			t.Errorf("%+v", l)
		}

		again := made(t, s.license("rotate", "acme", "--keep-old", "2w", "-o", "json"))
		l := s.stored("acme")
		if len(l.Spec.Credentials) != 2 || l.Spec.Credentials[0].ExpiresAt == "" || l.Spec.Credentials[1].SHA256 != v1alpha1.Hash(again.ID) || again.ID == h.ID {
			t.Errorf("%+v", l.Spec.Credentials)
		}
		ids = append(ids, again.ID)
		step("", `(?s).*license-id, sha256 .*ends 20.* in \d+d\n.*license-id-2, sha256 .*`, "", "show", "acme")
		last := made(t, s.license("rotate", "acme", "--now", "-o", "json"))
		if l := s.stored("acme"); len(l.Spec.Credentials) != 1 || l.Spec.Credentials[0].SHA256 != v1alpha1.Hash(last.ID) {
			t.Errorf("%+v", l.Spec.Credentials)
		}
		ids = append(ids, last.ID)
		step("", `license.*/acme deleted\n`, "", "delete", "acme", "--yes")
		if s.stored("acme") != nil {
			t.Error("it is still there")
		}
	})
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
		var l v1alpha1.License
		if err := yaml.UnmarshalStrict([]byte(out.out), &l); err != nil || l.Name != "acme" || l.Kind != v1alpha1.LicenseKind {
			t.Errorf("%v: %+v", err, out)
		}
	})
}
