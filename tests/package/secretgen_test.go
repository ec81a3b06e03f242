// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/secretgen"
)

// offered is a Secret that somebody exports, for one host.
type offered struct {
	// ref is namespace/name.
	ref, host, user string
	// to are the namespaces of its SecretExport; none where only the package exports it.
	to     []string
	weight string
}

// exchanged returns the docker configs that the package's namespace has once secretgen-controller has seen the
// manifests, by Secret, and the names of those that the pods pull with.
func exchanged(t *testing.T, all []object, offers []offered) (configs map[string]string, pods []string) {
	t.Helper()
	var cluster secretgen.Cluster
	for _, offer := range offers {
		from, name, _ := strings.Cut(offer.ref, "/")
		config := fmt.Sprintf(`{"auths":{%q:{"username":%q}}}`, offer.host, offer.user)
		cluster.Secrets = append(cluster.Secrets, secretgen.Secret{
			Namespace: from, Name: name, Type: secretgen.DockerConfig, Data: map[string][]byte{".dockerconfigjson": []byte(config)},
		})
		if offer.to != nil {
			cluster.Exports = append(cluster.Exports, secretgen.Export{Namespace: from, Name: name, To: offer.to, Weight: offer.weight})
		}
	}
	for _, o := range all {
		if o.text("kind") == "SecretExport" {
			cluster.Exports = append(cluster.Exports, exportOf(t, o))
		}
	}
	configs = map[string]string{}
	for _, secret := range cluster.Secrets {
		if secret.Namespace == namespace {
			configs[secret.Name] = string(secret.Data[".dockerconfigjson"])
		}
	}
	for _, o := range all {
		name := o.text("metadata", "name")
		switch {
		case o.text("kind") == "SecretImport":
			secret, err := cluster.Imported(o.text("metadata", "namespace"), name, o.text("spec", "fromNamespace"))
			if err != nil {
				t.Fatalf("SecretImport %s: %v", name, err)
			}
			configs[name] = string(secret.Data[".dockerconfigjson"])
		case o.text("kind") == "Secret" && o.at("metadata", "annotations", secretgen.Placeholder) != nil:
			combined, err := cluster.Combined(o.text("metadata", "namespace"))
			if err != nil {
				t.Fatal(err)
			}
			configs[name] = string(combined)
		}
	}
	for _, d := range deployments(t, all) {
		for _, secret := range d.Spec.Template.Spec.ImagePullSecrets {
			pods = append(pods, secret.Name)
		}
	}
	return configs, slices.Compact(pods)
}

func exportOf(t *testing.T, o object) secretgen.Export {
	t.Helper()
	spec := decode[struct {
		ToNamespace  string   `json:"toNamespace"`
		ToNamespaces []string `json:"toNamespaces"`
	}](t, o.at("spec"))
	if spec.ToNamespace != "" {
		spec.ToNamespaces = append(spec.ToNamespaces, spec.ToNamespace)
	}
	weight, _ := o.at("metadata", "annotations", secretgen.Weight).(string)
	return secretgen.Export{Namespace: o.text("metadata", "namespace"), Name: o.text("metadata", "name"), To: spec.ToNamespaces, Weight: weight}
}

// TestPodsPullWithWhatIsMeantForPulling, whatever else is exported to the namespace; and the credential for
// pushing lies in the one Secret that it is imported into.
func TestPodsPullWithWhatIsMeantForPulling(t *testing.T) {
	const (
		host   = "registry.example.com"
		push   = "push_secret: {name: push, namespace: tap-install, create_export: true}"
		images = ", image_proxy: {enabled: true, external_url: https://images.example.com}"
	)
	pusher := offered{ref: "tap-install/push", host: host, user: "pusher"}
	mirror := func(to []string, weight string) offered {
		return offered{ref: "tap-install/mirror", host: host, user: "puller", to: to, weight: weight}
	}
	pull := func(more string) string {
		return ", image_pull_secret: {name: mirror, namespace: tap-install" + more + "}"
	}
	ours, everywhere := []string{namespace}, []string{"*"}
	templates := productTemplates(t)
	for name, c := range map[string]struct {
		values string
		offers []offered
		// want is the user that the pods pull as; empty: without a password.
		want string
		// pushed are the Secrets that hold the credential for pushing.
		pushed []string
	}{
		"one host, the mirror for all namespaces":      {"{" + push + pull("") + "}", []offered{pusher, mirror(everywhere, "")}, "puller", []string{"push"}},
		"one host, the mirror by name":                 {"{" + push + pull("") + "}", []offered{pusher, mirror(ours, "")}, "puller", []string{"push"}},
		"one host, the mirror by ourselves":            {"{" + push + pull(", create_export: true") + "}", []offered{pusher, mirror(nil, "")}, "puller", []string{"push"}},
		"one host, both sides":                         {"{" + push + pull("") + images + "}", []offered{pusher, mirror(everywhere, "")}, "puller", []string{"push"}},
		"the mirror weighs less":                       {"{" + push + pull("") + "}", []offered{pusher, mirror(everywhere, "-1")}, "puller", []string{"push"}},
		"another robot weighs more":                    {"{" + push + pull("") + "}", []offered{pusher, mirror(ours, ""), {"x/other", host, "other", everywhere, "100"}}, "puller", []string{"push"}},
		"a credential of the namespace's own":          {"{" + push + pull("") + "}", []offered{pusher, mirror(ours, ""), {namespace + "/own", host, "own", ours, ""}}, "puller", []string{"push"}},
		"the mirror in the namespace":                  {"{" + push + ", image_pull_secret: {name: mirror, namespace: " + namespace + "}}", []offered{pusher, {ref: namespace + "/mirror", host: host, user: "puller"}}, "puller", []string{"push"}},
		"nothing for pulling":                          {"{" + push + "}", []offered{pusher, {"x/other", "other.example.com", "other", everywhere, ""}}, "", []string{"push"}},
		"nothing for pulling, both sides":              {"{" + push + images + "}", []offered{pusher, {"x/other", "other.example.com", "other", everywhere, ""}}, "", []string{"push"}},
		"the platform exports what it pushes with":     {"{shared: {image_registry: {secret: {name: push, namespace: tap-install}}}}", []offered{{"tap-install/push", host, "pusher", everywhere, "5"}}, "", []string{"push"}},
		"builds pull with what is pushed with":         {"{push_secret: {name: push, namespace: tap-install}, pull_secret: {name: push, namespace: tap-install, create_export: true}}", []offered{pusher}, "", []string{"push"}},
		"the push Secret in the namespace, and a role": {"{push_secret: {name: push, namespace: " + namespace + "}" + pull("") + "}", []offered{{namespace + "/push", host, "pusher", everywhere, ""}, mirror(everywhere, "")}, "puller", []string{"push"}},
		"one Secret for everything":                    {"{" + push + ", image_pull_secret: {name: push, namespace: tap-install}}", []offered{pusher}, "pusher", []string{"push"}},
		"a role instead of a Secret":                   {"{push_secret: {aws_iam_role_arn: \"arn:aws:iam::123456789012:role/push\"}" + pull("") + "}", []offered{mirror(everywhere, "")}, "puller", nil},
	} {
		t.Run(name, func(t *testing.T) {
			configs, pods := exchanged(t, mustRender(t, templates, c.values), c.offers)
			var pushed []string
			for secret, config := range configs {
				if strings.Contains(config, `"pusher"`) {
					pushed = append(pushed, secret)
				}
			}
			if diff := cmp.Diff(c.pushed, pushed); diff != "" {
				t.Errorf("Secrets with the credential for pushing (-want +got):\n%s", diff)
			}
			if c.want == "" {
				if len(pods) > 0 {
					t.Errorf("pods pull with %v", pods)
				}
				return
			}
			if len(pods) != 1 || !strings.Contains(configs[pods[0]], fmt.Sprintf(`{%q:{"username":%q`, host, c.want)) {
				t.Errorf("pods pull with %v of %v", pods, slices.Sorted(maps.Keys(configs)))
			}
		})
	}
	t.Run("a placeholder Secret would have both", func(t *testing.T) {
		all := mustRender(t, templates, "{"+push+"}")
		all = append(all, object{"kind": "Secret", "metadata": map[string]any{
			"name": "placeholder", "namespace": namespace, "annotations": map[string]any{secretgen.Placeholder: ""},
		}})
		if configs, _ := exchanged(t, all, []offered{pusher, mirror(everywhere, "")}); !strings.Contains(configs["placeholder"], `"pusher"`) {
			t.Errorf("the placeholder has %s: these tests could not fail", configs["placeholder"])
		}
	})
}

// TestPodsWaitForTheirPullSecret: kapp makes the Deployment once it was imported.
func TestPodsWaitForTheirPullSecret(t *testing.T) {
	all := mustRender(t, productTemplates(t), "{push_secret: {name: p, namespace: b}, image_pull_secret: {name: a, namespace: b}}")
	for name, want := range map[string]any{"a": "change-groups.kapp.k14s.io/pod-related", "p": nil} {
		got := find(t, all, namespace+"/SecretImport/"+name).at("metadata", "annotations", "kapp.k14s.io/change-group")
		if got != want {
			t.Errorf("SecretImport %s is in the change group %v, want %v", name, got, want)
		}
	}
}
