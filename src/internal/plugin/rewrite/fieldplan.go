// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"slices"
	"strings"
)

// Unasked is the verdict about what need not be an image, where no registry is asked.
const Unasked Verdict = "unasked"

// Outcome is what becomes of an image outside of containers.
type Outcome string

// What becomes of an image in a [Field].
const (
	// Renamed goes through the proxy.
	Renamed Outcome = "renamed"
	// Unchanged needs no other name.
	Unchanged Outcome = "unchanged"
	// Kept stays because the user says so.
	Kept Outcome = "kept"
	// Left stays because it is not certain what to do. It is a warning.
	Left Outcome = "left"
)

// FieldFinding is what is known about an image outside of containers.
type FieldFinding struct {
	Kind      string  `json:"kind"`
	Namespace string  `json:"namespace,omitempty"`
	Name      string  `json:"name"`
	Path      string  `json:"path"`
	Image     string  `json:"image"`
	Form      Form    `json:"form"`
	Outcome   Outcome `json:"outcome"`
	Reason    string  `json:"reason"`
	// NewName is empty for an image that keeps its name.
	NewName string `json:"newName,omitempty"`

	remedy string
}

// String is how the place is called in messages.
func (f FieldFinding) String() string { return describe(f.Kind, f.Namespace, f.Name) + ": " + f.Path }

// FieldFindings say what becomes of each image outside of containers, in the order of the base.
func (p *Plan) FieldFindings() []FieldFinding {
	renamed := p.renamed()
	var all []FieldFinding
	for _, field := range p.Base.Fields {
		for _, m := range field.mentions {
			finding := FieldFinding{
				Kind: field.Kind, Namespace: field.Namespace, Name: field.Name, Path: field.Path,
				Image: m.image.Written, Form: field.Form,
			}
			finding.Outcome, finding.Reason, finding.remedy = p.outcome(field, m, renamed)
			if finding.Outcome == Renamed {
				finding.NewName = p.Proxy.Name(m.image.Name)
			}
			all = append(all, finding)
		}
	}
	return all
}

// outcome decides about an image in a field, and says why and what the user can do.
func (p *Plan) outcome(field Field, m mention, renamed map[string]bool) (_ Outcome, reason, remedy string) {
	image := "--image-field " + quoted(field.flag()) + " renames it"
	keep := "--keep-field " + quoted(field.flag()) + " keeps it without a warning"
	answer := p.Answers[m.image.Written]
	switch {
	case field.kept:
		return Kept, "--keep-field says so", ""
	case p.licensed(m.image):
		return Unchanged, "on a registry that takes the license", ""
	case !renamed[m.image.Repository] && (m.sure || answer.Verdict == Public):
		return Unchanged, answer.Reason, ""
	case !renamed[m.image.Repository]:
		return Left, "it need not be an image: " + answer.Reason, image + ", and " + keep
	case p.isOverridden(m.image):
		return Left, "the midstream's kustomization has an entry of yours for it, which does not reach it", "patch it as well, or " + keep
	case field.Form == InText && !p.InText && !field.named:
		return Left, "it is part of a text", "--in-text renames what is in texts, and " + keep
	case field.Form == Split && !(field.renamesSplit() && m.image.Host != "" && strings.HasPrefix(strings.TrimSpace(field.value), m.image.Name)):
		return Left, "its tag is in another field", image + ", if the operator puts the two together, and " + keep
	default:
		return Renamed, "private, or of a repository that is", ""
	}
}

// isOverridden reports whether the user's kustomization has another new name for an image.
func (p *Plan) isOverridden(image Image) bool {
	return len(p.overridden) > 0 && slices.Contains(p.overridden, p.pattern(image.Name))
}

// newText is a field's string with the new names.
func (p *Plan) newText(field Field, renamed map[string]bool) string {
	var b strings.Builder
	end := 0
	for _, m := range field.mentions {
		if outcome, _, _ := p.outcome(field, m, renamed); outcome != Renamed {
			continue
		}
		was := field.value[m.start:m.end]
		name := m.image.Name
		if field.Form == Split {
			was, name = strings.TrimSpace(was), strings.TrimSpace(was)
		}
		b.WriteString(field.value[end:m.start])
		b.WriteString(p.Proxy.Name(name) + strings.TrimPrefix(was, name))
		end = m.end
	}
	return b.String() + field.value[end:]
}

// patchFields renames images in strings. The test makes kustomize refuse to build a base that changed since.
func (p *Plan) patchFields(list *patchList) {
	renamed := p.renamed()
	for _, field := range p.Base.Fields {
		if text := p.newText(field, renamed); text != field.value {
			at := pointer(field.steps.path())
			list.add(field.object, operation{"test", at, field.value}, operation{"replace", at, text})
		}
	}
}

// confirmed reports whether what need not be an image is one that wants credentials. Docker Hub wants them for
// whatever does not exist, too, so there a short name is not confirmed by it.
func (p *Plan) confirmed(image UnsureImage) bool {
	switch answer := p.Answers[image.Written]; answer.Verdict {
	case Assumed:
		return true
	case Private:
		return image.Host != "" && !answer.Vague
	default:
		return false
	}
}

// quoted is a text as a shell takes it.
func quoted(text string) string {
	if strings.ContainsAny(text, "[]*$ '\"\\&;|<>()") {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}
