// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// definition is what the page needs of a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Group string
		Names struct{ Kind, Plural string }
		// Versions have the schema of an object each.
		Versions []struct {
			Name   string
			Schema struct {
				OpenAPI schema `json:"openAPIV3Schema"`
			}
		}
	}
}

// schema is what the page needs of an OpenAPI schema.
type schema struct {
	Description, Type, Format, Pattern string

	Properties map[string]schema
	Items      *schema
	// AdditionalProperties is of a map with any keys.
	AdditionalProperties *schema

	Required  []string
	Enum      []any
	Minimum   *float64
	Maximum   *float64
	MinLength *int
	MaxLength *int
	MinItems  *int
	MaxItems  *int
	// Rules are checked by the API server.
	Rules []struct{ Message, Rule string } `json:"x-kubernetes-validations"`
}

// resourcesPage describes every field of the definitions in config.
func resourcesPage(config fs.FS) (string, error) {
	files, err := fs.Glob(config, "crd-*.yml")
	if err != nil || len(files) == 0 {
		return "", cmp.Or(err, fs.ErrNotExist)
	}
	var page strings.Builder
	page.WriteString("# Fields of the custom resources\n" + note("the definitions, `crd-*.yml`"))
	page.WriteString("`status` is the server's. `*` marks what must be there. A field below `[]` is one of each entry.\n")
	for _, file := range files {
		text, err := fs.ReadFile(config, file)
		if err != nil {
			return "", err
		}
		var d definition
		if err := yaml.Unmarshal(text, &d); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		for _, version := range d.Spec.Versions {
			object := version.Schema.OpenAPI
			fmt.Fprintf(&page, "\n## %s\n\n`%s.%s/%s`. %s\n\n", d.Spec.Names.Kind, d.Spec.Names.Plural, d.Spec.Group,
				version.Name, cell(object.Description))
			page.WriteString("| field | type | meaning | bounds |\n|---|---|---|---|\n")
			addFields(&page, "", object)
		}
	}
	return page.String(), nil
}

// addFields adds a row for each field below path. What every object of Kubernetes has is documented there.
func addFields(page *strings.Builder, path string, s schema) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		field := s.Properties[name]
		if path == "" && slices.Contains([]string{"apiVersion", "kind", "metadata"}, name) {
			continue
		}
		mark := ""
		if slices.Contains(s.Required, name) {
			mark = "*"
		}
		fmt.Fprintf(page, "| `%s`%s | %s | %s | %s |\n", path+name, mark, field.kind(), cell(field.Description), cell(field.bounds()))
		switch {
		case path+name == "status.conditions": // as in every object of Kubernetes
		case field.Items != nil:
			addFields(page, path+name+"[].", *field.Items)
		default:
			addFields(page, path+name+".", field)
		}
	}
}

// kind is the type as people say it.
func (s schema) kind() string {
	switch {
	case s.Items != nil:
		return "list of " + s.Items.kind()
	case s.AdditionalProperties != nil:
		return "map of " + s.AdditionalProperties.kind()
	case s.Format == "date-time":
		return "time"
	default:
		return s.Type
	}
}

// bounds says what the API server refuses.
func (s schema) bounds() string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(s.Enum) > 0 {
		add("one of %v", s.Enum)
	}
	between(add, "value", s.Minimum, s.Maximum)
	between(add, "characters", s.MinLength, s.MaxLength)
	between(add, "entries", s.MinItems, s.MaxItems)
	if s.Pattern != "" {
		add("`%s`", s.Pattern)
	}
	for _, rule := range s.Rules {
		add("%s", cmp.Or(rule.Message, "`"+rule.Rule+"`"))
	}
	if s.Items != nil && s.Items.Properties == nil && s.Items.bounds() != "" {
		add("each: %s", s.Items.bounds())
	}
	return strings.Join(all, "; ")
}

// between adds the bounds of a number.
func between[N int | float64](add func(string, ...any), what string, least, most *N) {
	switch {
	case least != nil && most != nil:
		add("%s: %v to %v", what, *least, *most)
	case least != nil:
		add("%s: %v or more", what, *least)
	case most != nil:
		add("%s: %v at most", what, *most)
	}
}
