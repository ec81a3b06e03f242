// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// verifyFields compares the strings that were to be changed with what kustomize made of them.
func (p *Plan) verifyFields(objects []*yaml.RNode) error {
	renamed, built := p.renamed(), indexOf(objects)
	for _, field := range p.Base.Fields {
		text := p.newText(field, renamed)
		object := built.find(p.Base.names, field.object)
		if text == field.value || object == nil {
			continue
		}
		if is := at(object.YNode(), field.steps.path()); is != nil && is.Value == field.value {
			return fmt.Errorf("%s: kustomize does not rename %s", field, strings.TrimSpace(field.value))
		}
	}
	return nil
}

// leftover is a string that still has an old name.
type leftover struct{ where, why, remedy, flag string }

// findLeftovers looks through the strings of the base's objects as they were built. What an operator puts
// together of parts, or writes in a way of its own, nothing else would find.
func (p *Plan) findLeftovers(objects []*yaml.RNode) []leftover {
	names := p.oldNames()
	if len(names) == 0 {
		return nil
	}
	prefixes := prefixesOf(names)
	told := map[string]bool{}
	for _, f := range p.FieldFindings() {
		if f.Outcome == Left || f.Outcome == Kept {
			told[f.String()] = true
		}
	}
	ours := map[objectID]bool{}
	for _, object := range p.Base.objects {
		ours[objectOf(object)] = true
	}
	var all []leftover
	walkStrings(objects, func(s place) {
		if !ours[s.object] {
			return
		}
		f := Field{Kind: s.object.Kind, Namespace: s.object.Namespace, Name: s.object.Name, Path: s.steps.String()}
		if told[f.String()] || selects(p.Base.keep, s, map[string]bool{}) {
			return
		}
		if name := nameIn(s.node.Value, names); name != "" {
			all = append(all, leftover{f.String(), "still has the name " + name, "--image-field " + quoted(f.flag()) + " renames it", f.flag()})
		} else if part := valuePart(s.node.Value); prefixes[part] != "" {
			all = append(all, leftover{f.String(), "has a part of the name " + prefixes[part], "an overlay of yours can change it", f.flag()})
		}
	})
	return all
}

// oldNames are the names that nothing should have any more, as far as they cannot be anything else.
func (p *Plan) oldNames() []string {
	renamed := p.renamed()
	names := map[string]bool{}
	for _, image := range p.allImages() {
		if !renamed[image.Repository] || p.licensed(image) {
			continue
		}
		for _, spelling := range image.Spellings() {
			if owner, _, found := strings.Cut(spelling, "/"); found && owner+"/" != library {
				names[spelling] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// prefixesOf are the registries and owners that names begin with, and a name for each.
func prefixesOf(names []string) map[string]string {
	all := map[string]string{}
	for _, name := range names {
		host, _, _ := strings.Cut(name, "/")
		if !strings.ContainsAny(host, ".:") && host != "localhost" {
			continue
		}
		for i, r := range name {
			if r == '/' && all[name[:i]] == "" {
				all[name[:i]] = name
			}
		}
	}
	return all
}

// valuePart is a string without spaces, what is before "=", and a slash at the end.
func valuePart(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSuffix(text[strings.LastIndexByte(text, '=')+1:], "/")
}

// nameIn returns the name that stands in a text as a word of its own; empty: none does. In the address of a web
// page it does not.
func nameIn(text string, names []string) string {
	if !strings.Contains(text, "/") {
		return ""
	}
	for _, name := range names {
		for from := 0; ; {
			at := strings.Index(text[from:], name)
			if at < 0 {
				break
			}
			start, end := from+at, from+at+len(name)
			if startsHere(text[:start]) && endsHere(text[end:]) {
				return name
			}
			from = end
		}
	}
	return ""
}

func startsHere(before string) bool {
	if strings.HasSuffix(before, "oci://") || strings.HasSuffix(before, "docker://") {
		return true
	}
	return before == "" || !isNamePart(before[len(before)-1]) && !strings.HasSuffix(before, "/")
}

func endsHere(after string) bool {
	after = strings.TrimLeft(after, ".")
	return after == "" || !isNamePart(after[0]) && after[0] != '/'
}

func isNamePart(c byte) bool { return inReference(c) && strings.IndexByte("/:@", c) < 0 }

// renamesFields reports whether an image outside of containers has a new name.
func (p *Plan) renamesFields() bool {
	return slices.ContainsFunc(p.FieldFindings(), func(f FieldFinding) bool { return f.Outcome == Renamed })
}

// fieldWarnings has one for each image outside of containers that nobody decided about.
func (p *Plan) fieldWarnings() []string {
	var all []string
	for _, f := range p.FieldFindings() {
		if f.Outcome == Left {
			all = append(all, fmt.Sprintf("%s: %s stays: %s; %s", f, f.Image, f.Reason, f.remedy))
		}
	}
	for _, l := range p.findLeftovers(p.built) {
		all = append(all, fmt.Sprintf("%s %s; %s, and --keep-field %s keeps it without a warning",
			l.where, l.why, l.remedy, quoted(l.flag)))
	}
	if p.renamesFields() && !p.AdmissionPolicy {
		all = append(all, "the Pods that are made of images outside of containers need the pull Secret "+p.secretName()+
			" as well: tell the operator that makes them, or say --admission-policy")
	}
	return all
}
