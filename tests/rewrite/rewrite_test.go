// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	licenseID   = "2ZEXAMPLELICENSEIDOFACME"
	through     = "proxy.example.com/proxy/my-kots-app/"
	customer    = "apiVersion: kots.io/v1beta1\nkind: License\nspec: {appSlug: my-kots-app, licenseID: " + licenseID + "}\n"
	application = `apiVersion: kots.io/v1beta1
kind: Application
metadata: {name: my-kots-app}
spec: {title: My App, proxyRegistryDomain: proxy.example.com, additionalNamespaces: [workers, "*"]}
`
)

// stock pushes an image and returns its name without a tag.
func stock(t *testing.T, registry *harness.Registry) string {
	t.Helper()
	if err := remote.Write(registry.Reference(t, "v1"), harness.Image(t), registry.Options(t)...); err != nil {
		t.Fatal(err)
	}
	return registry.Host + "/" + harness.Repository
}

// registries are real ones: two that want credentials, each in its way, and one that does not.
func registries(t *testing.T) (basic, token, open string) {
	t.Helper()
	tokens := harness.NewTokens(t, 0)
	program := harness.Tool(t, "registry")
	return stock(t, harness.Distribution{Program: program, Basic: true}.Start(t)),
		stock(t, tokens.Guard(harness.Distribution{Program: program, Token: tokens.Config(t)}.Start(t))),
		stock(t, harness.Distribution{Program: program}.Start(t))
}

// object is what matters of one that kustomize built.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string][]byte
	Spec     struct {
		corev1.PodSpec
		Template    corev1.PodTemplateSpec
		JobTemplate struct {
			Spec struct{ Template corev1.PodTemplateSpec }
		}
	}
}

func objectsOf(t *testing.T, stream string) map[string]object {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(stream), 1<<10)
	all := map[string]object{}
	for {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err == nil && len(raw) == 0 {
			continue
		}
		var o object
		if err == nil {
			err = json.Unmarshal(raw, &o)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, stream)
		}
		all[strings.TrimSuffix(o.Kind+" "+o.Metadata.Name+"/"+o.Metadata.Namespace, "/")] = o
	}
}

// images are those of an object's PodSpec, then its pull Secrets.
func (o object) images() []string {
	spec := o.Spec.PodSpec
	for _, deeper := range []corev1.PodSpec{o.Spec.Template.Spec, o.Spec.JobTemplate.Spec.Template.Spec} {
		if len(deeper.Containers) > 0 {
			spec = deeper
		}
	}
	var all []string
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		all = append(all, container.Image)
	}
	for _, container := range spec.EphemeralContainers {
		all = append(all, container.Image)
	}
	for _, secret := range spec.ImagePullSecrets {
		all = append(all, "secret "+secret.Name)
	}
	return all
}

// TestRewrite: what wants credentials goes through the proxy, what does not stays, as the real kubectl builds
// it.
func TestRewrite(t *testing.T) {
	t.Parallel()
	basic, token, open := registries(t)
	p := newPlace(t)
	license := p.file("license.yaml", customer)
	p.file("base/app.yaml", application)
	p.file("base/web.yaml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      imagePullSecrets: [{name: mine}]
      initContainers: [{name: init, image: "`+basic+`:v1"}]
      containers: [{name: web, image: "`+open+`:v1"}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: public}
spec:
  selector: {matchLabels: {app: public}}
  template:
    metadata: {labels: {app: public}}
    spec:
      imagePullSecrets: [{name: mine}]
      containers: [{name: public, image: "`+open+`:v1"}]
`)
	p.file("base/more/list.yaml", `apiVersion: v1
kind: List
items:
- apiVersion: batch/v1
  kind: CronJob
  metadata: {name: nightly, namespace: workers}
  spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: "`+token+`:v1"}]}}}}}
- apiVersion: v1
  kind: Pod
  metadata: {name: debugged}
  spec: {containers: [{name: a, image: "`+open+`:v1"}], ephemeralContainers: [{name: e, image: "`+token+`:v1"}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: proxied}
  spec: {containers: [{name: a, image: "`+through+`quay.io/x/y:1"}]}
`)
	host := func(image string) string { return strings.SplitN(image, "/", 2)[0] }
	rewrite := []string{
		"lsp", "rewrite", "--base", "base", "--license-file", license, "-n", "main", "--registry-domain", "registry.example.com",
		"--alias", host(basic) + "=basic," + host(token) + "=token",
	}
	dry, _ := p.run("", "kubectl", append(slices.Clone(rewrite), "--dry-run")...)
	for _, line := range []string{"private  " + basic + ":v1", "private  " + token + ":v1", "public   " + open + ":v1", "proxied  " + through + "quay.io/x/y:1"} {
		if !strings.Contains(dry, line) {
			t.Errorf("--dry-run does not say %q:\n%s", line, dry)
		}
	}
	_, said := p.run("", "kubectl", rewrite...)
	if !strings.Contains(said, `("*")`) {
		t.Errorf("nothing is said about all namespaces:\n%s", said)
	}
	built, _ := p.run("", "kubectl", "kustomize", "overlays/midstream")

	got := map[string][]string{}
	for name, object := range objectsOf(t, built) {
		got[name] = object.images()
		if object.Kind == "Secret" {
			got[name] = []string{string(object.Data[corev1.DockerConfigJsonKey])}
		}
	}
	entry := `{"username":"LICENSE_ID","password":"` + licenseID + `","auth":"` + base64.StdEncoding.EncodeToString([]byte("LICENSE_ID:"+licenseID)) + `"}`
	config := `{"auths":{"proxy.example.com":` + entry + `,"registry.example.com":` + entry + `}}`
	ours := "secret my-kots-app-registry"
	want := map[string][]string{
		"Deployment web":                      {through + "basic/" + harness.Repository + ":v1", open + ":v1", ours, "secret mine"},
		"StatefulSet public":                  {open + ":v1", "secret mine"},
		"CronJob nightly/workers":             {through + "token/" + harness.Repository + ":v1", ours},
		"Pod debugged":                        {open + ":v1", through + "token/" + harness.Repository + ":v1", ours},
		"Pod proxied":                         {through + "quay.io/x/y:1", ours},
		"Secret my-kots-app-registry/main":    {config},
		"Secret my-kots-app-registry/workers": {config},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("built by kubectl (-want +got):\n%s", diff)
	}

	before := p.tree()
	p.run("", "kubectl", rewrite...)
	if diff := cmp.Diff(before, p.tree()); diff != "" {
		t.Errorf("the second run changes something:\n%s", diff)
	}
}

// tree is every file, with mode, time and content.
func (p *place) tree() map[string]string {
	p.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = info.Mode().String() + info.ModTime().String() + string(content)
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return all
}

// TestDockerConfig: the machine's credentials open nothing unless it is asked to use them.
func TestDockerConfig(t *testing.T) {
	t.Parallel()
	registry := harness.Distribution{Program: harness.Tool(t, "registry"), Basic: true}.Start(t)
	image := stock(t, registry)
	p := newPlace(t)
	p.env = append(p.env, "DOCKER_CONFIG="+filepath.Dir(p.file("docker/config.json", string(registry.DockerConfig(t)))))
	p.file("base/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: '"+image+":v1'}]}\n")
	rewrite := []string{"rewrite", "--base", "base", "--license-file", p.file("license.yaml", customer), "--proxy-domain", "proxy.example.com", "--dry-run"}
	if out, _ := p.run("", "kubectl-lsp", rewrite...); !strings.HasPrefix(out, "private  "+image) {
		t.Errorf("without --use-docker-config:\n%s", out)
	}
	if out, _ := p.run("", "kubectl-lsp", append(rewrite, "--use-docker-config")...); !strings.HasPrefix(out, "public  "+image) {
		t.Errorf("with --use-docker-config:\n%s", out)
	}
}
