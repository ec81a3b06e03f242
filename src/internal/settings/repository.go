// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"regexp"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// dockerHub is the host that stands for all names of Docker Hub (quirk A9).
const dockerHub = "index.docker.io"

// longestName is the length of host, slash and path that clients commonly accept (OCI distribution-spec 1.1,
// "Pulling manifests").
const longestName = 255

// parseRepository splits "registry/path", "user/repo" on Docker Hub, or "repo", its official images. Messages
// never repeat the value, which may hold a password by mistake.
func parseRepository(place, key, value string) (registry, path string, err error) {
	fail := func(problem, remedy string) (string, string, error) {
		return "", "", &Error{Place: place, Key: key, Problem: problem, Remedy: remedy}
	}
	userinfo, _, at := strings.Cut(value, "@")
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fail("contains white space or a control character", "remove it")
	case strings.HasPrefix(value, "http://"):
		return fail("has the scheme http://", "remove it and set plain_http: true")
	case strings.Contains(value, "://"):
		return fail("has a scheme", "begin with the registry's host")
	case at && !strings.Contains(userinfo, "/"):
		return fail("carries a user name", "remove it and put the credential into the push secret")
	case at:
		return fail("names a digest", "end it before the @")
	case strings.HasSuffix(value, "/"):
		return fail("ends with a slash", "remove the slash")
	case strings.HasPrefix(value, "/"), strings.Contains(value, "//"):
		return fail("has an empty component", "write registry/path with single slashes")
	}

	registry, path, err = splitHost(place, key, value)
	if err != nil {
		return "", "", err
	}
	component := regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	components := strings.Split(path, "/")
	switch {
	case strings.Contains(path, ":"):
		return fail("names a tag", "end it before the colon: tags are chosen by clients")
	case strings.ContainsFunc(path, func(r rune) bool { return r >= 'A' && r <= 'Z' }):
		return fail("has upper-case letters in the path", "registries take lower case only")
	case slices.ContainsFunc(components, func(c string) bool { return !component.MatchString(c) }):
		return fail("is not a valid repository path", "use lower-case letters and digits, separated by / . _ __ or -")
	case registry == dockerHub && len(components) == 1:
		path = "library/" + path
	case registry == dockerHub && len(components) > 2:
		return fail("has more than two levels, which Docker Hub does not take",
			"write user/repo, or begin with another registry's host")
	}
	if len(registry)+1+len(path) > longestName {
		return fail("is longer than 255 characters", "choose a shorter path")
	}
	return registry, path, nil
}

// splitHost takes the first component as the host when it looks like one, by docker's rule: it has a dot or a
// colon, or is "localhost".
func splitHost(place, key, value string) (registry, path string, err error) {
	first, rest, slash := strings.Cut(value, "/")
	_, port, colon := strings.Cut(first, ":")
	isTag := colon && !slash && !digits(port) && !strings.HasPrefix(first, "[")
	switch {
	case isTag, !strings.ContainsAny(first, ".:") && first != "localhost":
		return dockerHub, value, nil
	case !slash:
		return "", "", &Error{Place: place, Key: key, Problem: "names a registry, but no repository in it",
			Remedy: "add /path"}
	case !oci.IsHost(first):
		return "", "", &Error{Place: place, Key: key, Problem: "does not begin with a valid host",
			Remedy: "write host/path or host:port/path"}
	}
	registry = strings.ToLower(first)
	if slices.Contains([]string{"docker.io", "index.docker.io", "registry-1.docker.io"}, registry) {
		registry = dockerHub
	}
	return registry, rest, nil
}

// checkRealm accepts a host, with or without a port.
func checkRealm(place, key, host string) error {
	const remedy = "write host or host:port, such as auth.example.com"
	switch {
	case host == "":
		return &Error{Place: place, Key: key, Problem: "is empty", Remedy: remedy}
	case strings.Contains(host, "://"), strings.Contains(host, "/"):
		return &Error{Place: place, Key: key, Problem: "has a scheme or a path", Remedy: remedy + "; it is asked by https"}
	case !oci.IsHost(host):
		return &Error{Place: place, Key: key, Problem: "is not a host", Remedy: remedy}
	default:
		return nil
	}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
