// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/http"
	"regexp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Tenancy is how the namespaces of the namespaced API share the operator's repository.
type Tenancy string

const (
	// Repositories has each namespace push to a repository of its own, "<repository>/<namespace>".
	Repositories Tenancy = "repositories"
	// Tags has all namespaces push to one repository. A namespace writes, reads and deletes its own tags (see
	// [Owner]) and nothing else.
	Tags Tenancy = "tags"
)

// root is the repository that "source" stands for.
func (a admission) root() string {
	if a.caller != nil && a.Tenancy != Tags {
		return a.Repository + "/" + a.caller.Namespace
	}
	return a.Repository
}

// Owner returns the one namespace that a tag belongs to with [Tags]; empty: none.
//
// The tag alone decides, so that a namespace made later takes nothing from another: it is the longest name that
// a namespace could have (a label of RFC 1123) and that a "-" or "_" follows. So "team-a-web" is of "team-a",
// and "team" writes "team_a-web" for its own "a-web". What is named by a digest is nobody's, even in a
// namespace that is called "sha256".
func Owner(tag string) (namespace string) {
	if ofDigest.MatchString(tag) {
		return ""
	}
	for i, c := range []byte(tag[:min(len(tag), longest+1)]) {
		if (c == '-' || c == '_') && i+1 < len(tag) && isNamespace(tag[:i]) {
			namespace = tag[:i]
		}
		if c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			break
		}
	}
	return namespace
}

// longest is how long a namespace's name may be.
const longest = 63

var (
	label = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	// ofDigest are the tags in which clients keep something about a digest: locks, signatures, referrers.
	ofDigest = regexp.MustCompile(`^sha(?:256|512)-[0-9a-f]{64}`)
	// lock is the tag by which imgpkg keeps an image from being collected as garbage.
	lock = regexp.MustCompile(`^sha256-([0-9a-f]{64})\.imgpkg$`)
)

// isNamespace reports whether a namespace can have the name: it is a label of RFC 1123.
func isNamespace(name string) bool { return label.MatchString(name) }

// separate keeps namespaces apart that share a repository. Whatever has no namespace in its name belongs to
// all of them: digests, locks, referrers and lists of tags. A digest can be written, because it is its content;
// it can be looked for, because clients do before they write; it cannot be read or deleted. A lock is like a
// digest, and content is the one that it must have.
func (a admission) separate(operation oci.Route) (content string, err error) {
	if a.caller == nil || a.Tenancy != Tags {
		return "", nil
	}
	namespace := a.caller.Namespace
	adds := operation.Method == http.MethodHead || operation.Method == http.MethodPut
	switch operation.Kind {
	case oci.Manifest:
		if locked := lock.FindStringSubmatch(operation.Reference); locked != nil && adds {
			return "sha256:" + locked[1], nil
		}
		if oci.IsDigest(operation.Reference) && adds || Owner(operation.Reference) == namespace {
			return "", nil
		}
		return "", oci.Errorf(oci.Denied, "namespace %s has no right to %s here: its tags are %s_…, and %[1]s-… where no hyphen follows",
			namespace, operation.Reference, namespace)
	case oci.Blob:
		if operation.Method != http.MethodHead {
			return "", oci.Errorf(oci.Denied,
				"namespaces share the blobs of one repository here: nobody may download or delete them")
		}
	case oci.Tags, oci.Referrers:
		return "", oci.Errorf(oci.Denied, "namespaces share one repository here: nobody may list what is in it")
	}
	return "", nil
}
