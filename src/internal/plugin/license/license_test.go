// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

const (
	id    = "TPQRVNEXAMPLEIDKEEPSECRET2"
	ours  = "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: CustomerLicense\n"
	kots  = "apiVersion: kots.io/v1beta1\nkind: License\n"
	whole = ours + `spec:
  appSlug: my-kots-app
  customerName: Acme
  customerEmail: ops@acme.example
  licenseID: ` + id + `
  expiresAt: 2027-01-01T00:00:00Z
  proxyDomain: proxy.example.com
`
)

func customerlicenseAcme() license.CustomerLicense {
	return license.CustomerLicense{
		App: "my-kots-app", CustomerName: "Acme", CustomerEmail: "ops@acme.example", ID: id,
		Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Domain: "proxy.example.com",
	}
}

func TestParse(t *testing.T) {
	least := license.CustomerLicense{App: "a", ID: id}
	tests := []struct {
		name, file string
		want       license.CustomerLicense
	}{
		{"ours", whole, customerlicenseAcme()},
		{"ours, quoted, with metadata", strings.NewReplacer("2027-01-01T00:00:00Z", `"2027-01-01T01:00:00+01:00"`, "spec:", "metadata: {name: acme}\nspec:").Replace(whole), customerlicenseAcme()},
		{"the least", ours + "spec: {appSlug: a, licenseID: " + id + ", expiresAt: null}", least},
		{"an id that looks like a number", ours + "spec: {appSlug: a, licenseID: 0123}", license.CustomerLicense{App: "a", ID: "0123"}},
		{"aliases", ours + "metadata: {id: &i " + id + "}\nspec: {appSlug: a, licenseID: *i}", least},
		{"KOTS", kots + `metadata: {name: acme}
spec:
  appSlug: my-kots-app
  channelName: Stable
  customerName: Acme
  customerEmail: ops@acme.example
  endpoint: https://vendor.example.com
  entitlements:
    expires_at: {title: Expiration, value: "2027-01-01T00:00:00Z", valueType: String}
    seats: {title: Seats, value: 7}
  licenseID: ` + id + `
  proxyDomain: proxy.example.com
  signature: bm9uZQ==
`, customerlicenseAcme()},
		{"KOTS, of its second version", `apiVersion: kots.io/v1beta2
kind: License
metadata: {name: acme}
spec:
  appSlug: my-kots-app
  customerName: Acme
  customerEmail: ops@acme.example
  customerID: "1"
  endpoint: https://vendor.example.com
  entitlements:
    expires_at: {title: Expiration, value: "2027-01-01T00:00:00Z", valueType: String, signature: {v2: bm9uZQ==}}
  licenseID: ` + id + `
  replicatedProxyDomain: proxy.example.com
  signature: bm9uZQ==
`, customerlicenseAcme()},
		{"KOTS without an end", kots + `spec: {appSlug: a, licenseID: ` + id + `, entitlements: {expires_at: {value: ""}}}`, least},
		{"KOTS without entitlements", kots + `spec: {appSlug: a, licenseID: ` + id + `}`, least},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := license.ParseCustomerLicense("acme.yaml", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got.Expires = got.Expires.UTC()
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"nothing", "", "is empty"},
		{"no YAML", "a: [" + id, "line 1: is not valid YAML: did not find expected ',' or ']': correct it"},
		{"a bracket that stays open", strings.Replace(whole, "appSlug: ", "appSlug: [", 1), "line 4: is not valid YAML: did not find expected ',' or ']': correct it"},
		{"a broken last line", whole + "  " + id, "line 10: is not valid YAML: could not find expected ':': correct it"},
		{"a broken escape", strings.Replace(whole, id, `"`+id+`\j"`, 1), "line 7: is not valid YAML: found unknown escape character: correct it"},
		{"an unknown anchor", whole + "x: *" + id, "line 10: is not valid YAML: an alias (*) of no anchor (&): correct it"},
		{"no mapping", id, "line 1: the file is not a mapping of keys to values"},
		{"two", whole + "---\n" + whole, "line 10: a second YAML document: keep one license in a file"},
		{"a key twice", whole + "  licenseID: " + id + "\n", "line 10: a key for the second time: keep one of them"},
		{"another object", "apiVersion: v1\nkind: Secret\n", "line 1: apiVersion and kind are of no license file"},
		{"the vendor's object", strings.Replace(whole, "CustomerLicense", "License", 1), "line 2: kind is the vendor's own object, which does not have the license id"},
		{"no spec", ours, "line 1: spec is missing"},
		{"a spec of text", ours + "spec: " + id, "line 3: spec is not a mapping of keys to values"},
		{"a misspelt key", strings.Replace(whole, "proxyDomain", "proxyDomian", 1), "line 9: spec has no such key: choose from appSlug, "},
		{"a key beside the spec", whole + id + ": x", "line 10: the file has no such key: choose from apiVersion, "},
		{"no app", strings.Replace(whole, "my-kots-app", "", 1), "line 4: spec.appSlug is missing"},
		{"an app that is a path", strings.Replace(whole, "my-kots-app", "../other", 1), "line 4: spec.appSlug is not an application's slug"},
		{"no id", strings.Replace(whole, "  licenseID: "+id+"\n", "", 1), "line 4: spec.licenseID is missing"},
		{"an id with white space", strings.Replace(whole, id, id+" "+id, 1), "line 7: spec.licenseID has white space"},
		{"an endless id", strings.Replace(whole, id, strings.Repeat(id, 30), 1), "line 7: spec.licenseID is longer than 512 characters"},
		{"a list of ids", strings.Replace(whole, id, "["+id+"]", 1), "line 7: spec.licenseID is not a single value"},
		{"no time", strings.Replace(whole, "2027-01-01T00:00:00Z", id, 1), "line 8: spec.expiresAt is not a time such as 2027-01-01T00:00:00Z"},
		{"a URL", strings.Replace(whole, "proxy.example.com", "https://proxy.example.com", 1), "line 9: spec.proxyDomain is not a domain: write a host"},
		{"a folder of Docker Hub", strings.Replace(whole, "proxy.example.com", "proxy", 1), "line 9: spec.proxyDomain is not a domain that image names can begin with"},
		{"KOTS, a URL", kots + "spec:\n  appSlug: a\n  licenseID: " + id + "\n  replicatedProxyDomain: https://x\n", "line 6: spec.replicatedProxyDomain is not a domain: write a host"},
		{"KOTS of no such version", strings.Replace(kots, "v1beta1", "v1beta3", 1) + "spec: {appSlug: a, licenseID: " + id + "}", "line 1: apiVersion and kind are of no license file: " +
			"imageproxy.apps.tanzu.vmware.com/v1alpha1 CustomerLicense, or License of kots.io/v1beta1 or v1beta2"},
		{"KOTS, no time", kots + "spec:\n  appSlug: a\n  licenseID: " + id + "\n  entitlements:\n    expires_at:\n      value: soon\n", "line 8: spec.entitlements.expires_at.value is not a time"},
		{"KOTS, entitlements of text", kots + "spec: {appSlug: a, licenseID: " + id + ", entitlements: x}", "line 3: spec.entitlements is not a mapping"},
		{"too large", "# " + strings.Repeat(id, 1<<16), "is larger than 1 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := license.ParseCustomerLicense("acme.yaml", []byte(tt.file))
			if err == nil || !strings.HasPrefix(err.Error(), "license file acme.yaml: "+tt.want) {
				t.Fatalf("error %v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), id) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error quotes the file, or has several lines: %v", err)
			}
		})
	}
}

func TestParseID(t *testing.T) {
	for _, text := range []string{id, id + "\n", "  " + id + "\r\n"} {
		if got, err := license.ParseID("id.txt", []byte(text)); err != nil || got != id {
			t.Errorf("ParseID(%q) = %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"\n":              "license id file id.txt: the id is missing; the file holds the id and nothing else",
		whole:             "license id file id.txt: the id has white space",
		id + "\u00e9":     "license id file id.txt: the id has white space, or characters outside of ASCII",
		id + " " + id:     "license id file id.txt: the id has white space",
		id + "\x00\x01":   "license id file id.txt: the id has white space",
		id + "\n\n# Acme": "license id file id.txt: the id has white space",
	} {
		if got, err := license.ParseID("id.txt", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), id) {
			t.Errorf("ParseID(%q) = %q, %v", text, got, err)
		}
	}
}

func TestYAML(t *testing.T) {
	want := customerlicenseAcme()
	raw, err := want.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := license.ParseCustomerLicense("acme.yaml", raw)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("%s\n%s", diff, raw)
	}
	for _, broken := range []func(*license.CustomerLicense){
		func(l *license.CustomerLicense) { l.App = "" },
		func(l *license.CustomerLicense) { l.ID = "a b" },
		func(l *license.CustomerLicense) { l.Domain = "proxy.example.com/x" },
	} {
		l := customerlicenseAcme()
		broken(&l)
		if raw, err := l.YAML(); err == nil {
			t.Errorf("%+v was written:\n%s", l, raw)
		}
	}
}

// TestPullSecret holds that the project's own reader of pull Secrets finds the id for each domain, and for no
// other.
func TestPullSecret(t *testing.T) {
	secret, err := license.PullSecret("my-kots-app", id, "proxy.example.com", "registry.example.com:5000")
	if err != nil {
		t.Fatal(err)
	}
	if secret.Name != "my-kots-app-registry" || secret.Type != "kubernetes.io/dockerconfigjson" || secret.Kind != "Secret" {
		t.Errorf("Secret %s of type %s", secret.Name, secret.Type)
	}
	config, err := dockerconfig.Parse("pull Secret", secret.Data[".dockerconfigjson"])
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"proxy.example.com": id, "registry.example.com:5000": id, "other.example.com": ""} {
		if got, err := config.Credential(t.Context(), host); err != nil || got.Password != want || (want != "" && got.Username != license.Username) {
			t.Errorf("%s: user %q, password of %d characters, %v", host, got.Username, len(got.Password), err)
		}
	}
	var raw struct{ Auths map[string]map[string]string }
	if err := json.Unmarshal(secret.Data[".dockerconfigjson"], &raw); err != nil || raw.Auths["proxy.example.com"]["password"] != id {
		t.Errorf("%v: the form without auth is missing", err)
	}
}

func TestPullSecretRefuses(t *testing.T) {
	tests := []struct {
		app, id string
		domains []string
		want    string
	}{
		{"A", id, []string{"a.example"}, "make a pull Secret: the application is not an application's slug"},
		{"a", "", []string{"a.example"}, "make a docker config: the license id is missing"},
		{"a", id, nil, "make a docker config: no domain to pull from"},
		{"a", id, []string{"a.example", "b"}, `make a docker config: "b" is not a domain that image names can begin with`},
		{"a", id, []string{"a.example:port"}, `make a docker config: "a.example:port" is not a domain`},
		{"a", id, []string{"a.example:"}, `make a docker config: "a.example:" is not a domain`},
		{"a", id, []string{"user@a.example"}, `make a docker config: "user@a.example" is not a domain`},
	}
	for _, tt := range tests {
		if _, err := license.PullSecret(tt.app, tt.id, tt.domains...); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

// FuzzParse: any file is a license that survives writing and reading, or an error of one line that does
// not quote the file.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{whole, ours, kots + "spec: {appSlug: a, licenseID: b}", "a: &a [*a]", "a: *" + id, "? {a: b}\n: c", "- " + id, whole + "---\n", "<<: {a: b}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := license.ParseCustomerLicense("place", data)
		if err != nil {
			if l != nil || !strings.HasPrefix(err.Error(), "license file place: ") || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), id) {
				t.Errorf("license %v with the error %q", l, err)
			}
			return
		}
		raw, err := l.YAML()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := license.ParseCustomerLicense("again", raw)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, raw)
		}
		if l.Expires.Sub(again.Expires).Abs() >= time.Second {
			t.Errorf("the end %s became %s", l.Expires, again.Expires)
		}
		l.Expires, again.Expires = time.Time{}, time.Time{}
		if diff := cmp.Diff(l, again); diff != "" {
			t.Error(diff)
		}
	})
}
