// SPDX-License-Identifier: Apache-2.0

package support

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// valuesSecret has the package's values.
const valuesSecret = "local-source-proxy-values"

// pick copies fields of an object, each named by its path.
func pick(object map[string]any, paths ...string) map[string]any {
	picked := map[string]any{}
	for _, path := range paths {
		fields := strings.Split(path, ".")
		value, found, err := unstructured.NestedFieldCopy(object, fields...)
		if found && err == nil {
			_ = unstructured.SetNestedField(picked, value, fields...) // into maps that this made
		}
	}
	return picked
}

func metadata(object map[string]any) any {
	return pick(object, "metadata.name", "metadata.generation", "metadata.creationTimestamp",
		"metadata.deletionTimestamp")["metadata"]
}

func with(object, picked map[string]any) map[string]any {
	picked["metadata"] = metadata(object)
	return picked
}

func conditionsOnly(object map[string]any) map[string]any {
	return with(object, pick(object, "status.conditions", "status.observedGeneration", "status.friendlyDescription",
		"status.usefulErrorMessage"))
}

func deployment(object map[string]any) map[string]any {
	return with(object, pick(object, "spec.replicas", "status"))
}

func service(object map[string]any) map[string]any {
	return with(object, pick(object, "spec.type", "spec.ports", "spec.selector"))
}

func event(object map[string]any) map[string]any {
	return pick(object, "type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime",
		"involvedObject.kind", "involvedObject.name")
}

// license leaves out the hashes of its ids and how to reach the customer.
func license(object map[string]any) map[string]any {
	return with(object, pick(object, "spec.appSlug", "spec.expiresAt", "spec.revoked", "status"))
}

func registry(object map[string]any) map[string]any {
	return with(object, pick(object, "spec.hostname", "spec.alias", "spec.appAccess", "spec.tokenRealms",
		"spec.plainHTTP", "status"))
}

// settings keeps values of keys that are known to be no secret. Of others it keeps the length, and the
// redactor learns them.
func (c *Collector) settings(key, content string) {
	var values any
	if err := yaml.Unmarshal([]byte(content), &values); err != nil {
		c.Redactor.Know(content)
		c.note("settings/"+key, fmt.Errorf("it is no YAML: %w", err))
		return
	}
	c.addYAML("settings/"+key, c.plainValues("", values))
}

func (c *Collector) plainValues(key string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		plain := map[string]any{}
		for name, below := range value {
			plain[name] = c.plainValues(name, below)
		}
		return plain
	case []any:
		plain := make([]any, len(value))
		for i, below := range value {
			plain[i] = c.plainValues(key, below)
		}
		return plain
	case string:
		if value == "" || plainKeys()[key] {
			return value
		}
		c.Redactor.Know(value)
		return fmt.Sprintf("%s %d bytes", Redacted, len(value))
	default:
		return value
	}
}

// plainKeys are the keys of values whose strings may be shown: what is not here is not.
func plainKeys() map[string]bool {
	keys := map[string]bool{}
	for key := range strings.FieldsSeq(`repository name namespace to_namespaces aws_iam_role_arn cpu memory token_realms
		kubernetes_distribution kubernetes_version ingress_cidrs egress cidr cidrs kind apiGroup registry_secrets domains
		tls_secret type class_name trusted_proxies project_path tenancy profile`) {
		keys[key] = true
	}
	return keys
}
