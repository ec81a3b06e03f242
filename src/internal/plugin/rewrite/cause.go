// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"regexp"
	"strings"
)

// buildError is an error of kustomize, its cause first. Kustomize tries a resource as a file and as a
// directory, and nests what it says about each; the text as a whole tells how it came there.
type buildError struct {
	cause string
	err   error
}

func newBuildError(err error) *buildError { return &buildError{causeOf(oneLine(err)), err} }

// Error implements error.
func (b *buildError) Error() string {
	if whole := oneLine(b.err); whole != b.cause {
		return b.cause + " (kustomize says: " + whole + ")"
	}
	return b.cause
}

func (b *buildError) Unwrap() error { return b.err }

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// causeOf finds the cause in the text of an error of kustomize's.
func causeOf(text string) string {
	for _, rule := range []struct {
		form  *regexp.Regexp
		cause func(found []string) string
	}{
		// A URL that is neither fetched nor cloned is looked for on the disk at last.
		{regexp.MustCompile(`accumulating resources from '(https?://[^']*)': (.*?)': `), func(found []string) string {
			return "a kustomization names " + found[1] + ": " + found[2]
		}},
		// As a directory, the resource failed by being a file: what was wrong with the file is the cause.
		{regexp.MustCompile(`.*(?:accumulating|merging) resources from '[^']*': (.*)': must build at directory: '([^']*)': file is not directory$`),
			func(found []string) string { return found[2] + ": " + found[1] }},
		{regexp.MustCompile(`.*evalsymlink failure on '([^']+)' : lstat [^']*: no such file`), func(found []string) string {
			return "a kustomization names " + found[1] + ", which does not exist"
		}},
		{regexp.MustCompile(`.*trouble configuring builtin (\S+) with config: .*` + "`" + `: (.*)$`), func(found []string) string {
			return found[1] + ": " + found[2]
		}},
		// As a file, it failed by being a directory.
		{regexp.MustCompile(`.*' must resolve to a file': (.*)$`), func(found []string) string { return found[1] }},
	} {
		if found := rule.form.FindStringSubmatch(text); found != nil {
			return rule.cause(found)
		}
	}
	return text
}

// nameless explains an object without a name, of which kustomize does not say where it is.
func (f *files) nameless(m manifest) error {
	for _, object := range m.objects() {
		kind := value(object, "kind")
		if kind == "" || strings.HasSuffix(kind, "List") || idOf(object).Name != "" {
			continue
		}
		what := "no metadata.name"
		if generated := generateName(object); generated != "" {
			what = "generateName " + generated + " and no name"
		}
		return f.error(m, fmt.Errorf("line %d: %s with %s: neither kustomize nor kubectl apply takes it: write a metadata.name",
			max(object.Line, 1), kind, what))
	}
	return nil
}
