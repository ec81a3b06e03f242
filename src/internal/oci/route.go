// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Kind is what a path names.
type Kind string

// The kinds of path that the distribution API has.
const (
	Ping        Kind = "ping"
	Manifest    Kind = "manifest"
	Blob        Kind = "blob"
	UploadStart Kind = "upload-start"
	Upload      Kind = "upload"
	Tags        Kind = "tags"
	Referrers   Kind = "referrers"
)

// Route is one operation of the distribution API.
type Route struct {
	Kind   Kind
	Method string
	// Name is the repository's name as the client writes it; empty for [Ping].
	Name string
	// Reference is a tag or digest for [Manifest], a digest for [Blob] and [Referrers], a session token for
	// [Upload].
	Reference string

	// flaw says why nothing can have the reference; nil: something can.
	flaw *Error
}

// Operation names the operation for logs and metrics, such as "manifest-put"; the set of them is small and
// closed.
func (r Route) Operation() string {
	switch r.Kind {
	case Ping, Tags, Referrers, UploadStart:
		return string(r.Kind)
	case Upload:
		return "upload-" + map[string]string{
			http.MethodGet: "status", http.MethodPatch: "chunk", http.MethodPut: "finish", http.MethodDelete: "cancel",
		}[r.Method]
	default:
		return string(r.Kind) + "-" + strings.ToLower(r.Method)
	}
}

// Writes reports whether the operation changes the repository.
func (r Route) Writes() bool {
	switch r.Kind {
	case UploadStart, Upload:
		return true
	default:
		return r.Method == http.MethodPut || r.Method == http.MethodDelete
	}
}

// methods that each kind of path takes, in the order of the Allow header.
func (k Kind) methods() []string {
	switch k {
	case Manifest:
		return []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete}
	case Blob:
		return []string{http.MethodGet, http.MethodHead, http.MethodDelete}
	case UploadStart:
		return []string{http.MethodPost}
	case Upload:
		return []string{http.MethodGet, http.MethodPatch, http.MethodPut, http.MethodDelete}
	case Ping:
		return []string{http.MethodGet, http.MethodHead}
	default:
		return []string{http.MethodGet}
	}
}

// ParseRoute reads a method and an escaped path ([net/url.URL.EscapedPath]). Its errors are [Error].
func ParseRoute(method, escapedPath string) (Route, error) {
	r, err := ParsePath(escapedPath)
	if err != nil {
		return Route{}, err
	}
	return r.For(method, r.Kind.methods()...)
}

// ParsePath reads an escaped path alone. Which methods it takes is then for [Route.For].
func ParsePath(escapedPath string) (Route, error) {
	path, err := clean(escapedPath)
	if err != nil {
		return Route{}, err
	}
	return parse(path)
}

// For sets the route's method, which must be one of those that are allowed.
func (r Route) For(method string, allowed ...string) (Route, error) {
	if !slices.Contains(allowed, method) {
		allow := strings.Join(allowed, ", ")
		return Route{}, Errorf(Unsupported,
			"%s is not possible here; possible are: %s", printable(method), cmp.Or(allow, "none")).
			With("Allow", allow)
	}
	if r.flaw != nil {
		return Route{}, r.refuse(method)
	}
	r.Method = method
	return r, nil
}

// clean refuses what could mean another path to somebody else on the way. No grammar of the API needs an
// escape but that of a digest's colon, which some clients send as %3A.
func clean(escaped string) (string, error) {
	path := strings.ReplaceAll(strings.ReplaceAll(escaped, "%3A", ":"), "%3a", ":")
	if !strings.HasPrefix(path, "/v2") || strings.Contains(path, "%") {
		return "", errUnknown()
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "", errUnknown()
		}
	}
	return path, nil
}

func errUnknown() *Error {
	return Errorf(PathUnknown, "no such path in the distribution API")
}

func parse(path string) (Route, error) {
	if path == "/v2" || path == "/v2/" {
		return Route{Kind: Ping}, nil
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return Route{}, errUnknown()
	}
	// Clients that clean their paths lose this slash, and only this one may be there at all.
	if name, ok := strings.CutSuffix(strings.TrimSuffix(rest, "/"), "/blobs/uploads"); ok {
		return named(Route{Kind: UploadStart, Name: name})
	}
	segments := strings.Split(rest, "/")
	tail := segments[len(segments)-1]
	if len(segments) < 3 || tail == "" {
		return Route{}, errUnknown()
	}
	name := strings.Join(segments[:len(segments)-2], "/")
	switch segments[len(segments)-2] {
	case "manifests":
		return manifest(name, tail)
	case "blobs":
		return digest(Route{Kind: Blob, Name: name, Reference: tail})
	case "referrers":
		return digest(Route{Kind: Referrers, Name: name, Reference: tail})
	case "tags":
		if tail == "list" {
			return named(Route{Kind: Tags, Name: name})
		}
	case "uploads":
		if name, ok := strings.CutSuffix(name, "/blobs"); ok {
			return named(Route{Kind: Upload, Name: name, Reference: tail})
		}
	}
	return Route{}, errUnknown()
}

func named(r Route) (Route, error) {
	if !IsName(r.Name) {
		return Route{}, Errorf(NameInvalid, "the repository name is not valid: lower case letters, digits and . _ - in segments, %d characters at most", maxName)
	}
	return r, nil
}

func digest(r Route) (Route, error) {
	if !IsDigest(r.Reference) {
		r.flaw = Errorf(DigestInvalid, "the digest is not valid: it must look like sha256:<64 hex digits>")
	}
	return named(r)
}

func manifest(name, reference string) (Route, error) {
	r := Route{Kind: Manifest, Name: name, Reference: reference}
	if strings.Contains(reference, ":") {
		return digest(r)
	}
	if !IsTag(reference) {
		r.flaw = ErrTag()
	}
	return named(r)
}

// ErrTag returns the error for what cannot be a tag.
func ErrTag() *Error {
	return Errorf(ManifestInvalid, "the tag is not valid: letters, digits and . _ -, 128 characters at most")
}

// refuse returns the error for a reference that cannot exist: it is unknown, like one that does not. Who
// writes a manifest learns what is wrong, and so does who asks for referrers (distribution-spec, "Listing
// Referrers").
func (r Route) refuse(method string) *Error {
	if method == http.MethodPut || r.Kind == Referrers {
		return r.flaw
	}
	return Errorf(r.Missing(), "%s", r.flaw.Message)
}

// Missing returns the code for what the route names, where it is not found.
func (r Route) Missing() Code {
	switch r.Kind {
	case Manifest:
		return ManifestUnknown
	case Blob:
		return BlobUnknown
	case Upload:
		return BlobUploadUnknown
	case Referrers:
		// Quirk D10: with NAME_UNKNOWN, oras-go takes the repository to be missing, and does not fall back to
		// tags.
		return Unsupported
	default:
		return NameUnknown
	}
}

// printable keeps what a client may have put into a method out of logs and answers.
func printable(method string) string {
	if len(method) > 16 || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return "this method"
	}
	return method
}
