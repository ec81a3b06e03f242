// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"regexp"
	"strings"
)

const (
	// MaxPattern is the length of the longest [ImagePattern], in bytes.
	MaxPattern = 512

	// A segment of a pattern is **, or has characters of names and *. The definitions of the custom resources have
	// the same grammar.
	patternSegment = `(?:\*\*|\*|\*?[a-z0-9._-]+(?:\*[a-z0-9._-]+)*\*?)`
	patternTag     = `(?:\*|\*?[A-Za-z0-9._-]+(?:\*[A-Za-z0-9._-]+)*\*?)`
)

var (
	repositoryPattern = regexp.MustCompile(`^` + patternSegment + `(?:/` + patternSegment + `)*$`)
	tagPattern        = regexp.MustCompile(`^` + patternTag + `$`)
)

// ImagePattern stands for images, as [host/]repository[:tag]. A * stands for any characters of one segment, or
// of the tag. A segment ** stands for any number of segments, also none.
type ImagePattern struct {
	// Host is the registry's, with or without a port; empty: any registry.
	Host string
	// Repository is the pattern of its name.
	Repository string
	// Tag is the pattern of the tag; empty: the whole repository.
	Tag string
}

// ParseImagePattern reads a pattern. Its first segment is a host by the rule that docker has for names of images:
// it has a dot or a port, or is localhost, and more follows. One with a * is never a host.
func ParseImagePattern(text string) (ImagePattern, error) {
	switch {
	case text == "":
		return ImagePattern{}, errors.New("is empty")
	case len(text) > MaxPattern:
		return ImagePattern{}, errors.New("is too long")
	case strings.Contains(text, "://"):
		return ImagePattern{}, errors.New("has a scheme")
	case strings.Contains(text, "@"):
		return ImagePattern{}, errors.New("names a digest")
	}
	p := ImagePattern{Repository: text}
	first, rest, more := strings.Cut(text, "/")
	if more && !strings.Contains(first, "*") && (strings.ContainsAny(first, ".:") || first == "localhost") {
		p.Host, p.Repository = first, rest
		if strings.ToLower(first) != first || !IsHost(first) {
			return ImagePattern{}, errors.New("begins with what is no host in lower case")
		}
	}
	repository, tag, tagged := strings.Cut(p.Repository, ":")
	p.Repository = repository
	if err := checkRepositoryPattern(repository); err != nil {
		return ImagePattern{}, err
	}
	if !tagged {
		return p, nil
	}
	p.Tag = tag
	if !tagPattern.MatchString(tag) || !strings.Contains(tag, "*") && !IsTag(tag) {
		return ImagePattern{}, errors.New("has no tag behind the colon, or what no tag can be")
	}
	if tag == "*" {
		p.Tag = "" // all tags are the repository
	}
	return p, nil
}

// ParseRepositoryPattern reads a pattern that is of a repository alone.
func ParseRepositoryPattern(text string) (ImagePattern, error) {
	switch {
	case text == "":
		return ImagePattern{}, errors.New("is empty")
	case len(text) > MaxPattern:
		return ImagePattern{}, errors.New("is too long")
	case strings.ContainsAny(text, ":@"):
		return ImagePattern{}, errors.New("has more than a repository in it")
	}
	return ImagePattern{Repository: text}, checkRepositoryPattern(text)
}

func checkRepositoryPattern(text string) error {
	if !repositoryPattern.MatchString(text) || !strings.Contains(text, "*") && !IsName(text) {
		return errors.New("is no pattern of a repository's name")
	}
	return nil
}

// MatchRepository reports whether the pattern stands for a repository of that name.
func (p ImagePattern) MatchRepository(name string) bool { return matchPath(p.Repository, name) }

// MatchTag reports whether a pattern of tags stands for a tag.
func MatchTag(pattern, tag string) bool { return matchText(pattern, tag) }

// matchPath compares segment by segment. The last ** before a difference takes one segment more, which suffices:
// an earlier one could only take what the last one can.
func matchPath(pattern, name string) bool {
	var patternAgain, nameAgain string // behind the last **
	starred := false
	for {
		if pattern == "" && name == "" {
			return true
		}
		segment, rest, _ := strings.Cut(pattern, "/")
		if segment == "**" {
			starred, patternAgain, nameAgain = true, rest, name
			pattern = rest
			continue
		}
		first, after, _ := strings.Cut(name, "/")
		if segment != "" && first != "" && matchText(segment, first) {
			pattern, name = rest, after
			continue
		}
		if !starred || nameAgain == "" {
			return false
		}
		_, nameAgain, _ = strings.Cut(nameAgain, "/")
		pattern, name = patternAgain, nameAgain
	}
}

// matchText does the same with characters and *.
func matchText(pattern, text string) bool {
	star, again := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, again = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0:
			again++
			p, t = star+1, again
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
