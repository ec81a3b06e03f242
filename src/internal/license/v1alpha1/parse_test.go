// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

const version = "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\n"

// acme is a license with a line for each key, from line 1 on.
const acme = version + `kind: License
metadata: {name: acme}
spec:
  appSlug: my-app
  customerName: Acme
  credentials:
  - name: license-id
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  expiresAt: 2027-01-01T00:00:00Z
  revoked: false
`

// quay has every key of the specification.
const quay = version + `kind: ExternalRegistry
metadata: {name: quay}
spec:
  hostname: quay.io
  alias: ""
  appAccess: [my-app]
  credentials:
    secretRef: {name: quay-pull}
    dockerConfigFile: ""
    provider: ""
  caCertData: ""
  tokenRealms: [auth.example.net]
  plainHTTP: false
`

func TestParseReadsObjects(t *testing.T) {
	objects, err := v1alpha1.Parse("objects.yml", []byte("# ours\n---\n"+acme+"--- # theirs\n"+quay+"---\n---\nnull\n"))
	if err != nil || len(objects) != 2 {
		t.Fatalf("%d objects, error %v", len(objects), err)
	}
	license, ok := objects[0].(*v1alpha1.License)
	want := v1alpha1.LicenseSpec{
		AppSlug: "my-app", CustomerName: "Acme", ExpiresAt: "2027-01-01T00:00:00Z",
		Credentials: []v1alpha1.Credential{{Name: "license-id", SHA256: v1alpha1.Hash("test")}},
	}
	if !ok || license.Name != "acme" || license.Kind != v1alpha1.LicenseKind {
		t.Fatalf("%+v", objects[0])
	}
	if diff := cmp.Diff(want, license.Spec); diff != "" {
		t.Errorf("license (-want +got):\n%s", diff)
	}
	registry, ok := objects[1].(*v1alpha1.ExternalRegistry)
	if !ok || registry.Spec.Hostname != "quay.io" || registry.Spec.Credentials.SecretRef.Name != "quay-pull" {
		t.Errorf("%+v", objects[1])
	}
}

// What kubectl get -o yaml prints can be put into a directory as it is.
func TestParseTakesWhatTheAPIServerAdds(t *testing.T) {
	_, err := v1alpha1.Parse("", []byte(strings.Replace(acme, "metadata: {name: acme}", `metadata:
  name: acme
  namespace: ns
  creationTimestamp: "2026-11-01T10:00:00Z"
  generation: 2
  resourceVersion: "17"
  uid: 0e6f9bd4
  labels: {a: b}
  annotations: {a: b}
  managedFields:
  - {apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}, manager: kubectl, operation: Update, time: "2026-11-01T10:00:00Z"}
status:
  lastPulled: 2026-11-01T10:00:00Z
  pulls: 3
  conditions:
  - {type: Valid, status: "True", reason: Used, message: "", lastTransitionTime: "2026-11-01T10:00:00Z", observedGeneration: 2}
`, 1)))
	if err != nil {
		t.Error(err)
	}
}

// What kubectl, which reads YAML 1.1, makes true or false of is the same in a directory; text stays text.
func TestParseTakesTheBooleansOfYAML11(t *testing.T) {
	for word, want := range map[string]bool{
		"yes": true, "Yes": true, "on": true, "ON": true, "y": true, "True": true, "&a yes": true,
		"no": false, "off": false, "n": false, "FALSE": false,
	} {
		t.Run(word, func(t *testing.T) {
			license := strings.NewReplacer("revoked: false", "revoked: "+word, "Acme", "yes", "{name: acme}", "{name: acme, labels: {a: on}}").Replace(acme)
			objects, err := v1alpha1.Parse("f", []byte(license+"---\n"+strings.Replace(quay, "plainHTTP: false", "plainHTTP: "+word, 1)))
			if err != nil || len(objects) != 2 {
				t.Fatal(err)
			}
			if l := objects[0].(*v1alpha1.License); l.Spec.Revoked != want || l.Spec.CustomerName != "yes" || l.Labels["a"] != "on" {
				t.Errorf("%+v", l)
			}
			if r := objects[1].(*v1alpha1.ExternalRegistry); r.Spec.PlainHTTP != want {
				t.Errorf("%+v", r.Spec)
			}
		})
	}
}

// Whoever writes it in any of these ways means it, also where the license cannot be used for that.
func TestDocumentsKnowEveryWayToRevoke(t *testing.T) {
	for wrong, want := range map[string]bool{
		`yes`: true, `on`: true, `y`: true, `Y`: true, `true`: true, `TRUE`: true, `"true"`: true, `'True'`: true, `"yes"`: true, `!!str true`: true,
		"false\n  revoked: true": true, "true\n  revoked: false": true,
		`no`: false, `"false"`: false, `""`: false, `1`: false, `[true]`: false, ``: false, `later`: false,
	} {
		text := strings.NewReplacer("revoked: false", "revoked: "+wrong, "appSlug", "app").Replace(acme)
		if documents := v1alpha1.Documents("f", []byte(text)); len(documents) != 1 || documents[0].Err == nil || documents[0].Revoked != want {
			t.Errorf("revoked: %s is read as %v", wrong, !want)
		}
	}
}

// A node that stands in two places is read in each as that needs it, and no message is one of the Go
// library's.
func TestParseReadsABooleanThatIsTextElsewhere(t *testing.T) {
	text := strings.NewReplacer("Acme", "&a yes", "revoked: false", "revoked: *a").Replace(acme)
	objects, err := v1alpha1.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if l := objects[0].(*v1alpha1.License); l.Spec.CustomerName != "yes" || !l.Spec.Revoked {
		t.Errorf("%+v", l.Spec)
	}
	text = version + "kind: License\nspec: &s\n  revoked: yes\nmetadata: {name: acme, labels: *s}\n"
	if _, err := v1alpha1.Parse("f", []byte(text)); err == nil || strings.Contains(err.Error(), "json") || strings.Contains(err.Error(), "Go ") {
		t.Errorf("error %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"syntax":       {"a: [", "f: line 1: is not valid YAML: did not find expected node content: correct the YAML"},
		"text":         {"license", "f: line 1: is no object: write apiVersion, kind, metadata and spec"},
		"version":      {"apiVersion: v1\nkind: Secret", "f: line 1: apiVersion: is not imageproxy.apps.tanzu.vmware.com/v1alpha1: write that, or keep other objects elsewhere"},
		"kind":         {version + "kind: Licence", "f: line 2: kind: is neither License nor ExternalRegistry: write one of them"},
		"no kind":      {version, "f: line 1: kind: is neither License nor ExternalRegistry: write one of them"},
		"unknown key":  {strings.Replace(acme, "customerName", "customer_name", 1), "f: line 6: spec.customer_name: unknown key: did you mean customerName?"},
		"in metadata":  {strings.Replace(acme, "{name: acme}", "{nam: acme}", 1), "f: line 3: metadata.nam: unknown key: did you mean name?"},
		"in a list":    {strings.Replace(acme, "sha256", "sha265", 1), "f: line 9: spec.credentials[0].sha265: unknown key: did you mean sha256?"},
		"a number":     {strings.Replace(acme, "my-app", "17", 1), "f: line 5: spec.appSlug: expected text, found a number: put it in quotes"},
		"a text":       {strings.Replace(acme, "false", "later", 1), "f: line 11: spec.revoked: expected true or false, found text: correct the value"},
		"a word":       {strings.Replace(acme, "false", `"yes"`, 1), "f: line 11: spec.revoked: expected true or false, found text: correct the value"},
		"a label":      {strings.Replace(acme, "{name: acme}", "{name: acme, labels: {a: 1}}", 1), "f: line 3: metadata.labels.a: expected text, found a number: put it in quotes"},
		"a time":       {strings.Replace(acme, "{name: acme}", "{name: acme, creationTimestamp: soon}", 1), "f: line 3: metadata.creationTimestamp: expected a time such as 2006-01-02T15:04:05Z, found text: correct the value"},
		"twice":        {acme + "  revoked: true\n", "f: line 12: spec.revoked: the key is already on line 11: keep one of them"},
		"end marker":   {acme + "...\n" + acme, "f: line 13: is not valid YAML: did not find expected <document start>: correct the YAML"},
		"line ends":    {acme + "---\r---\r" + acme, "f: line 14: something follows the end of the document: end lines with a line feed, and begin every document with ---"},
		"open brace":   {strings.Replace(acme, "{name: acme}", "{name: acme", 1), "f: line 3: is not valid YAML: did not find expected ',' or '}': correct the YAML"},
		"later brace":  {acme + "---\n" + strings.Replace(acme, "{name: acme}", "{name: acme", 1), "f: line 15: is not valid YAML: did not find expected ',' or '}': correct the YAML"},
		"two defects":  {strings.NewReplacer("false", "0", "Acme", "[]").Replace(acme), "f: line 6: spec.customerName: expected text, found a list: correct the value\nf: line 11: spec.revoked: expected true or false, found a number: correct the value"},
		"a later line": {acme + "---\n" + strings.Replace(quay, "alias", "alas", 1), "f: line 18: spec.alas: unknown key: did you mean alias?"},
		"later syntax": {acme + "---\nkind: [\n", "f: line 13: is not valid YAML: did not find expected node content: correct the YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v1alpha1.Parse("f", []byte(c.data))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseLeavesTheRest(t *testing.T) {
	objects, err := v1alpha1.Parse("f", []byte(acme+"---\nkind: [\n---\n"+quay+"---\nkind: Secret\n"))
	if len(objects) != 2 || objects[0].GetName() != "acme" || objects[1].GetName() != "quay" {
		t.Errorf("objects %v", objects)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("not one error for each bad document: %v", err)
	}
}

func TestDocumentsKnowsWhatIsWrong(t *testing.T) {
	revoked := strings.NewReplacer("revoked: false", "revoked: true", "appSlug", "app").Replace(acme)
	documents := v1alpha1.Documents("f", []byte(revoked+"---\n"+strings.Replace(quay, "alias", "alas", 1)+"---\n["))
	type known struct {
		kind, name string
		revoked    bool
	}
	var got []known
	for _, d := range documents {
		if d.Err == nil || d.Object != nil {
			t.Errorf("%s is taken for good", d.Name)
		}
		got = append(got, known{d.Kind, d.Name, d.Revoked})
	}
	want := []known{{"License", "acme", true}, {"ExternalRegistry", "quay", false}, {}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(known{})); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", acme, quay, acme + "---\n" + quay, "---\n---", "a: &a [*a]", version + "kind: License\nspec: &s {credentials: [*s]}",
		version + "kind: License\nmetadata: {labels: {? [a] : b}, creationTimestamp: .nan, managedFields: [{fieldsV1: {1: 2}}]}", "<<: {}", "--- |\n x",
		"\"\\u2028\": 1", "apiVersion: !!binary x", "...\n...", "%YAML 1.2\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := v1alpha1.Parse("place", data)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "place: line ") {
					t.Errorf("a line that names no place: %q", line)
				}
			}
			if _, ok := errors.AsType[*strictyaml.Error](err); !ok {
				t.Errorf("not a defect.Error: %v", err)
			}
		}
		for _, object := range objects {
			valid := object.Validate(v1alpha1.InDirectory) == nil
			text, err := v1alpha1.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			again, err := v1alpha1.Parse("place", text)
			if err != nil || len(again) != 1 || (again[0].Validate(v1alpha1.InDirectory) == nil) != valid {
				t.Errorf("what was written is not what was read: %v\n%s", err, text)
			}
		}
	})
}

// Whoever edits one document of a file has to leave the others alone.
func TestDocumentsSayWhereTheyAre(t *testing.T) {
	parts := []string{"# ours\n\n", "---\n" + acme + "\n", "--- # theirs\n" + quay, "---\n\n", "---\n" + acme + "x: y\n"}
	data := strings.Join(parts, "")
	var got []string
	for _, document := range v1alpha1.Documents("", []byte(data)) {
		got = append(got, data[document.Start:document.End])
	}
	if diff := cmp.Diff([]string{parts[1], parts[2], parts[4]}, got); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}
