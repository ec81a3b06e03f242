// SPDX-License-Identifier: Apache-2.0

package support

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

const (
	// patience bounds each question: what does not answer is a note.
	patience = 20 * time.Second
	// maxObjects bounds each list.
	maxObjects = 500
	// maxLog bounds one container's log, in bytes.
	maxLog = 8 << 20
	// maxMetrics bounds one pod's metrics, in bytes.
	maxMetrics = 8 << 20
)

// Collector asks a cluster. Clients and Namespace are required.
type Collector struct {
	Client    kubernetes.Interface
	Objects   dynamic.Interface
	Namespace string
	// Lines is how many of each container's last lines are kept.
	Lines int64
	// Redactor learns the namespace's Secrets.
	Redactor *Redactor

	files []File
	notes []string
}

// Collect returns the files. It only ends early with the context.
func (c *Collector) Collect(ctx context.Context) ([]File, []string) {
	c.secrets(ctx) // first: the redactor must know them
	for _, what := range []struct {
		file, group, version, resource string
		project                        func(map[string]any) map[string]any
	}{
		{"deployments", "apps", "v1", "deployments", deployment},
		{"services", "", "v1", "services", service},
		{"events", "", "v1", "events", event},
		{"licenses", "imageproxy.apps.tanzu.vmware.com", "v1alpha1", "licenses", license},
		{"externalregistries", "imageproxy.apps.tanzu.vmware.com", "v1alpha1", "externalregistries", registry},
		{"secretimports", "secretgen.carvel.dev", "v1alpha1", "secretimports", conditionsOnly},
		{"secretexports", "secretgen.carvel.dev", "v1alpha1", "secretexports", conditionsOnly},
		{"apps", "kappctrl.k14s.io", "v1alpha1", "apps", conditionsOnly},
		{"packageinstalls", "packaging.carvel.dev", "v1alpha1", "packageinstalls", conditionsOnly},
	} {
		resource := schema.GroupVersionResource{Group: what.group, Version: what.version, Resource: what.resource}
		items, ok := c.list(ctx, resource)
		if !ok {
			continue
		}
		if what.resource == "licenses" {
			c.licenseHashes(items)
		}
		projected := make([]map[string]any, len(items))
		for i := range items {
			projected[i] = what.project(items[i].Object)
		}
		c.addYAML("objects/"+what.file+".yaml", projected)
	}
	c.pods(ctx)
	return c.files, c.notes
}

func (c *Collector) add(name, content string) { c.files = append(c.files, File{name, content}) }

func (c *Collector) addYAML(name string, content any) {
	raw, err := yaml.Marshal(content)
	if err != nil {
		c.note(name, err)
		return
	}
	c.add(name, string(raw))
}

// note says why something is not there.
func (c *Collector) note(what string, err error) {
	why := err.Error()
	switch {
	case apierrors.IsForbidden(err):
		why = "you may not read this: " + why
	case apierrors.IsNotFound(err):
		why = "the cluster does not have this: " + why
	}
	c.notes = append(c.notes, what+": "+c.Redactor.Text(strings.Join(strings.Fields(why), " ")))
}

func (c *Collector) list(
	ctx context.Context, resource schema.GroupVersionResource,
) ([]unstructured.Unstructured, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	objects := c.Objects.Resource(resource).Namespace(c.Namespace)
	list, err := objects.List(ctx, metav1.ListOptions{Limit: maxObjects})
	if err != nil {
		c.note(resource.Resource, err)
		return nil, false
	}
	if list.GetContinue() != "" {
		c.note(resource.Resource, fmt.Errorf("there are more than %d, the others are left out", maxObjects))
	}
	return list.Items, true
}

// secrets teaches the redactor what they hold, and notes what they are: names, types, and sizes.
func (c *Collector) secrets(ctx context.Context) {
	items, ok := c.list(ctx, schema.GroupVersionResource{Version: "v1", Resource: "secrets"})
	if !ok {
		c.notes = append(c.notes,
			"secrets: what they hold is not known, so only what has the form of a credential is taken out")
		return
	}
	described := make([]map[string]any, 0, len(items))
	for i := range items {
		s := &items[i]
		data, _, _ := unstructured.NestedMap(s.Object, "data")
		sizes := map[string]any{}
		for key, value := range data {
			content := decode(value)
			sizes[key] = len(content)
			if s.GetName() == valuesSecret {
				c.settings(key, content)
				continue
			}
			if !public(s.Object["type"], key, content) {
				c.Redactor.Know(content)
			}
		}
		described = append(described,
			map[string]any{"metadata": metadata(s.Object), "type": s.Object["type"], "bytes": sizes})
	}
	c.addYAML("objects/secrets.yaml", described)
}

// public reports whether it is a certificate, or the namespace beside a token: in every second line.
func public(kind any, key, content string) bool {
	return kind == "kubernetes.io/service-account-token" && key == "namespace" ||
		strings.HasPrefix(content, "-----BEGIN CERTIFICATE-----") && !strings.Contains(content, "PRIVATE KEY")
}

// licenseHashes teaches the redactor by what it knows the ids of licenses, which are nowhere themselves, and
// how the customers are reached.
func (c *Collector) licenseHashes(items []unstructured.Unstructured) {
	for i := range items {
		credentials, _, _ := unstructured.NestedSlice(items[i].Object, "spec", "credentials")
		for _, item := range credentials {
			credential, _ := item.(map[string]any)
			if hash, ok := credential["sha256"].(string); ok {
				c.Redactor.KnowHash(hash)
				c.Redactor.Know(hash)
			}
		}
		email, _, _ := unstructured.NestedString(items[i].Object, "spec", "customerEmail")
		c.Redactor.Know(email)
	}
}

func decode(value any) string {
	text, _ := value.(string)
	var raw []byte
	quoted, err := json.Marshal(text)
	if err != nil || json.Unmarshal(quoted, &raw) != nil {
		return text
	}
	return string(raw)
}
