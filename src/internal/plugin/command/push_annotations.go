// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// readAnnotations reads what --annotation says. What the manifest would not hold as it was typed is a mistake.
func readAnnotations(texts []string) (map[string]string, error) {
	all := map[string]string{}
	for _, text := range texts {
		change, err := workload.ParseChange(text)
		if err != nil || change.Remove {
			return nil, usageError{fmt.Errorf("--annotation %q: write name=value", text)}
		}
		err = checkAnnotation(change.Name, change.Value)
		if before, named := all[change.Name]; err == nil && named && before != change.Value {
			err = fmt.Errorf("%s has another value already: name each once", change.Name)
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("--annotation %q: %w", text, err)}
		}
		all[change.Name] = change.Value
	}
	return all, nil
}

// checkAnnotation has the rules of OCI image-spec 1.1, annotations.md. Keys and values are strings, which in JSON
// are UTF-8. The prefix org.opencontainers is reserved for keys that OCI defines.
func checkAnnotation(key, value string) error {
	const reserved = "org.opencontainers"
	defined := []string{
		"created", "authors", "url", "documentation", "source", "version", "revision", "vendor", "licenses", "ref.name",
		"title", "description", "base.digest", "base.name",
	}
	ofImages, isOfImages := strings.CutPrefix(key, reserved+".image.")
	switch {
	case !utf8.ValidString(key + value):
		return errors.New("it is not UTF-8: write it in UTF-8")
	case strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return errors.New("write the name without blanks and control characters")
	case key != reserved && !strings.HasPrefix(key, reserved+"."):
		return nil
	case !isOfImages || !slices.Contains(defined, ofImages):
		return fmt.Errorf("OCI does not define %s, and the prefix %s is reserved for it: take a domain of your own, such as com.example.%s",
			key, reserved, key[strings.LastIndex(key, ".")+1:])
	default:
		return nil
	}
}
