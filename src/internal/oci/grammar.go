// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"regexp"
	"strings"
)

// The grammars of OCI distribution-spec 1.1, "Pulling manifests", and of image-spec, "Digests".
const (
	component = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	algorithm = `[a-z0-9]+(?:[+._-][a-z0-9]+)*`
	maxName   = 255
)

var (
	nameGrammar   = regexp.MustCompile(`^` + component + `(?:/` + component + `)*$`)
	tagGrammar    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestGrammar = regexp.MustCompile(`^` + algorithm + `:[a-zA-Z0-9=_-]+$`)
	algoGrammar   = regexp.MustCompile(`^` + algorithm + `$`)
	hexGrammar    = regexp.MustCompile(`^[a-f0-9]+$`)
)

// IsName reports whether s can be the name of a repository.
func IsName(s string) bool { return len(s) <= maxName && nameGrammar.MatchString(s) }

// IsTag reports whether s can be a tag.
func IsTag(s string) bool { return tagGrammar.MatchString(s) }

// IsAlgorithm reports whether s can be the algorithm of a digest.
func IsAlgorithm(s string) bool { return len(s) <= maxName && algoGrammar.MatchString(s) }

// IsDigest reports whether s can be a digest. Of the registered algorithms the length and alphabet are
// checked as well.
func IsDigest(s string) bool {
	if len(s) > maxName || !digestGrammar.MatchString(s) {
		return false
	}
	algorithm, encoded, _ := strings.Cut(s, ":")
	switch algorithm {
	case "sha256":
		return len(encoded) == 64 && hexGrammar.MatchString(encoded)
	case "sha512":
		return len(encoded) == 128 && hexGrammar.MatchString(encoded)
	default:
		return true
	}
}
