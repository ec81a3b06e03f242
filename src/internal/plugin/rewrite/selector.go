// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/resid"
)

// FieldSelector selects fields of all objects of a kind: KIND:PATH.
type FieldSelector struct {
	text        string
	kind, group string // no group: any
	path        steps
}

// anyStep is the index of a step that every key and every index is.
const anyStep = -2

// String is what the user wrote.
func (s FieldSelector) String() string { return s.text }

// ParseFieldSelector reads KIND:PATH. The kind may have its group behind it, as in Kafka.kafka.strimzi.io. The
// path has dots between its steps: spec.image. A list has an index, or none for all elements: spec.args[0],
// spec.steps[].image. Keys with other characters stand in brackets, too: data[config.yaml]. A star is every key.
func ParseFieldSelector(text string) (FieldSelector, error) {
	kind, path, found := strings.Cut(text, ":")
	if !found || kind == "" || path == "" {
		return FieldSelector{}, errors.New("write KIND:PATH, such as Kafka:spec.kafka.image")
	}
	s := FieldSelector{text: text, kind: kind}
	s.kind, s.group, _ = strings.Cut(kind, ".")
	for rest := path; rest != ""; {
		var one step
		var err error
		if one, rest, err = nextStep(rest, len(s.path) == 0); err != nil {
			return FieldSelector{}, err
		}
		s.path = append(s.path, one)
	}
	return s, nil
}

// nextStep takes the first step off a path.
func nextStep(path string, first bool) (_ step, rest string, _ error) {
	if strings.HasPrefix(path, "[") {
		inner, rest, closed := strings.Cut(path[1:], "]")
		index, err := strconv.Atoi(inner)
		switch {
		case !closed:
			return step{}, "", errors.New("a bracket is not closed")
		case inner == "" || inner == "*":
			return step{index: anyStep}, rest, nil
		case err == nil && index >= 0:
			return step{key: inner, index: index}, rest, nil
		default:
			return step{inner, -1}, rest, nil
		}
	}
	if !first {
		if !strings.HasPrefix(path, ".") {
			return step{}, "", errors.New("a dot is missing behind a bracket")
		}
		path = path[1:]
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	switch key := path[:end]; key {
	case "":
		return step{}, "", errors.New("a step is empty")
	case "*":
		return step{index: anyStep}, path[end:], nil
	default:
		return step{key, -1}, path[end:], nil
	}
}

// matches reports whether the selector selects a place.
func (s FieldSelector) matches(p place) bool {
	if s.kind != p.object.Kind || len(s.path) != len(p.steps) {
		return false
	}
	if group, _ := resid.ParseGroupVersion(p.object.APIVersion); s.group != "" && s.group != group {
		return false
	}
	for i, want := range s.path {
		switch is := p.steps[i]; {
		case want.index == anyStep:
		case is.index >= 0 && is.index == want.index:
		case is.index < 0 && is.key == want.key && want.key != "":
		default:
			return false
		}
	}
	return true
}

// selects reports whether one of the selectors selects a place, and notes each that does.
func selects(selectors []FieldSelector, p place, used map[string]bool) bool {
	selected := false
	for _, s := range selectors {
		if s.matches(p) {
			selected, used[s.text] = true, true
		}
	}
	return selected
}
