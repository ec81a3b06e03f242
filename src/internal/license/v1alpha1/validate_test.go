// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// parsed returns the only object of a text.
func parsed(t *testing.T, text string) v1alpha1.Object {
	t.Helper()
	objects, err := v1alpha1.Parse("", []byte(text))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects, error %v, in\n%s", len(objects), err, text)
	}
	return objects[0]
}

func TestValidateTakes(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	edit := func(text, before, after string) string { return strings.Replace(text, before, after, 1) }
	for name, text := range map[string]string{
		"license":          acme,
		"no credentials":   version + "kind: License\nmetadata: {name: a.b}\nspec: {appSlug: a, customerName: Ünïcode & Söhne}",
		"revoked since":    edit(acme, "{name: acme}", `{name: acme, annotations: {imageproxy.apps.tanzu.vmware.com/revoked-at: "2026-01-01T00:00:00+02:00"}}`),
		"registry":         quay,
		"port":             edit(quay, "quay.io", `"[::1]:5000"`),
		"localhost":        edit(quay, "quay.io", "Localhost"),
		"alias":            edit(quay, `""`, "our-quay"),
		"provider":         edit(edit(quay, "{name: quay-pull}", `{name: ""}`), `provider: ""`, "provider: aws"),
		"none of the keys": version + "kind: ExternalRegistry\nmetadata: {name: a}\nspec: {hostname: quay.io}",
		"certificates":     edit(quay, `caCertData: ""`, fmt.Sprintf("caCertData: %q", certificate)),
	} {
		if err := parsed(t, text).Validate(v1alpha1.InCluster); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateRefusesALicense(t *testing.T) {
	const notASlug = "is not a slug: write up to 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
	const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	twice := "  - name: license-id\n    sha256: " + hash + "\n"
	for name, c := range map[string]struct{ before, after, want string }{
		"no name":        {"{name: acme}", "{}", "metadata.name: is missing: write lower-case letters, digits, dashes and dots"},
		"app":            {"my-app", "My.App", "spec.appSlug: " + notASlug},
		"no app":         {"my-app", `""`, "spec.appSlug: is missing" + strings.TrimPrefix(notASlug, "is not a slug")},
		"a wrong name":   {"{name: acme}", "{name: A_B}", "metadata.name: is not the name of an object: write lower-case letters, digits, dashes and dots"},
		"a long app":     {"my-app", strings.Repeat("a", 64), "spec.appSlug: " + notASlug},
		"no customer":    {"Acme", `""`, "spec.customerName: is not set: write it"},
		"a long name":    {"Acme", strings.Repeat("é", 129), "spec.customerName: is longer than 128 characters: shorten it"},
		"two lines":      {"Acme", `"A\nB"`, "spec.customerName: has control characters: remove them"},
		"expiry":         {"2027-01-01T00:00:00Z", "2027-13-01T00:00:00Z", "spec.expiresAt: is not a time of RFC 3339: write it like 2027-01-01T00:00:00Z"},
		"a date":         {"2027-01-01T00:00:00Z", "2027-01-01", "spec.expiresAt: is not a time of RFC 3339: write it like 2027-01-01T00:00:00Z"},
		"the zero time":  {"2027-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "spec.expiresAt: is before 1970: write it like 2027-01-01T00:00:00Z"},
		"credential":     {"name: license-id", "name: license_id", "spec.credentials[0].name: " + notASlug},
		"hash":           {hash, strings.ToUpper(hash), "spec.credentials[0].sha256: is not the hex of a SHA-256: write 64 lower-case hex digits, as kubectl lsp license create does"},
		"hash of \"\"":   {hash, v1alpha1.Hash(""), "spec.credentials[0].sha256: is the hash of nothing: write the hash of a license id, as kubectl lsp license create does"},
		"its expiry":     {"    sha256", "    expiresAt: soon\n    sha256", "spec.credentials[0].expiresAt: is not a time of RFC 3339: write it like 2027-01-01T00:00:00Z"},
		"credential two": {"  - name", twice + "  - name", "spec.credentials[1].sha256: is there twice: give every credential an id of its own\nspec.credentials[1].name: is there twice: give every credential a name of its own"},
		"revoked since": {"{name: acme}", "{name: acme, annotations: {imageproxy.apps.tanzu.vmware.com/revoked-at: then}}",
			"metadata.annotations: the time of imageproxy.apps.tanzu.vmware.com/revoked-at is not a time of RFC 3339: write it like 2027-01-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, strings.Replace(acme, c.before, c.after, 1), v1alpha1.InDirectory, c.want)
		})
	}
	many := acme
	for i := range 16 {
		many = strings.Replace(many, "  - name: license-id", fmt.Sprintf("  - name: id-%d\n    sha256: %s\n  - name: license-id", i, v1alpha1.Hash(fmt.Sprint(i))), 1)
	}
	refuses(t, many, v1alpha1.InCluster, "spec.credentials: has more than 16 entries: remove those that are no longer used")
}

func TestValidateRefusesARegistry(t *testing.T) {
	const notASlug = "is not a slug: write up to 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
	for name, c := range map[string]struct {
		where               v1alpha1.Where
		before, after, want string
	}{
		"realm by URL": {0, "tokenRealms: [auth.example.net]", "tokenRealms: [\"https://a.io/token\"]", "spec.tokenRealms[0]: has a scheme or a path: write host or host:port; it is asked by https"},
		"no realm":     {0, "tokenRealms: [auth.example.net]", "tokenRealms: [a.io, a_.io]", "spec.tokenRealms[1]: is not a host: write host or host:port"},
		"realm twice":  {0, "tokenRealms: [auth.example.net]", "tokenRealms: [a.io, a.io]", "spec.tokenRealms[1]: is there twice: keep one of them"},
		"no host":      {0, "hostname: quay.io", `hostname: ""`, "spec.hostname: is not set: write host or host:port"},
		"scheme":       {0, "hostname: quay.io", "hostname: http://quay.io", "spec.hostname: has a scheme: write host or host:port; plainHTTP: true is for registries without TLS"},
		"path":         {0, "hostname: quay.io", "hostname: quay.io/team", "spec.hostname: has a path: write host or host:port alone: an ExternalRegistry is a registry as a whole"},
		"not a host":   {0, "hostname: quay.io", "hostname: quay_.io", "spec.hostname: is not a host name: write host or host:port"},
		"port":         {0, "hostname: quay.io", "hostname: quay.io:99999", "spec.hostname: is not a host name: write host or host:port"},
		"one word":     {0, "hostname: quay.io", "hostname: quay", "spec.hostname: would be read as a user of Docker Hub: write a name with a dot or a port"},
		"long host":    {0, "hostname: quay.io", "hostname: " + strings.Repeat("a.", 130) + "a", "spec.hostname: is not a host name: write host or host:port"},
		"library":      {0, `alias: ""`, "alias: library", "spec.alias: stands for something else in references: choose another name"},
		"dots":         {0, `alias: ""`, "alias: ghcr.io", "spec.alias: " + notASlug},
		"app":          {0, "[my-app]", "[my-app, My]", "spec.appAccess[1]: " + notASlug},
		"app twice":    {0, "[my-app]", "[my-app, my-app]", "spec.appAccess[1]: is there twice: keep one of them"},
		"two sources":  {0, `provider: ""`, "provider: aws", "spec.credentials: names secretRef and provider: keep one of them"},
		"provider":     {0, "secretRef: {name: quay-pull}\n    dockerConfigFile: \"\"\n    provider: \"\"", "provider: ibm", "spec.credentials.provider: is unknown: write aws, google or azure"},
		"Secret":       {0, "quay-pull", "quay_pull", "spec.credentials.secretRef.name: is not the name of a Secret: write lower-case letters, digits, dashes and dots"},
		"no cluster":   {v1alpha1.InDirectory, "", "", "spec.credentials.secretRef: needs a cluster to read the Secret from: write dockerConfigFile: the path of a docker config.json"},
		"no directory": {0, "secretRef: {name: quay-pull}\n    dockerConfigFile: \"\"", "dockerConfigFile: c.json", "spec.credentials.dockerConfigFile: has no meaning in a cluster: write secretRef: {name: …}, a Secret of type kubernetes.io/dockerconfigjson"},
		"certificates": {0, `caCertData: ""`, "caCertData: QUNNRQ==", "spec.caCertData: holds no PEM certificate: paste certificates that begin with -----BEGIN CERTIFICATE-----"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, strings.Replace(quay, c.before, c.after, 1), c.where, c.want)
		})
	}
}

func refuses(t *testing.T, text string, where v1alpha1.Where, want string) {
	t.Helper()
	err := parsed(t, text).Validate(where)
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestDocumentsTellLinesOfWhatIsInvalid(t *testing.T) {
	text := acme + "---\n" + strings.NewReplacer("my-app", "My", "hostname", "# none: hostname").Replace(quay)
	documents := v1alpha1.Documents("f", []byte(text))
	for i := range documents {
		documents[i].Validate(v1alpha1.InCluster)
	}
	if documents[0].Err != nil || documents[0].Object == nil || documents[1].Object != nil {
		t.Fatalf("%+v", documents)
	}
	want := "f: line 18: spec.hostname: is not set: write host or host:port\n" +
		"f: line 19: spec.appAccess[0]: is not a slug: write up to 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
	if diff := cmp.Diff(want, documents[1].Err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
