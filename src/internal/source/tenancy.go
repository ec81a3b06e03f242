// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/http"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// Tenancy is how the namespaces of the namespaced API share the operator's repository.
type Tenancy string

const (
	// Repositories gives each namespace a repository of its own, "<repository>/<namespace>".
	Repositories Tenancy = "repositories"
	// Tags has all namespaces push to one repository. A namespace writes, reads and deletes the tags
	// "<namespace>_…" and nothing else.
	Tags Tenancy = "tags"
)

// tagSeparator ends the namespace in a tag. No namespace has it in its name (RFC 1123 labels), so "team" never
// owns a tag of "team-a". With a hyphen, "team-a-web" would be a tag of both.
const tagSeparator = "_"

// root is the repository that "source" stands for.
func (a admission) root() string {
	if a.namespace != "" && a.Tenancy != Tags {
		return a.Repository + "/" + a.namespace
	}
	return a.Repository
}

// separate keeps namespaces apart that share a repository. Whatever has no namespace in its name belongs to
// all of them: digests, referrers and lists of tags. A digest can be written, because it is its content; it can
// be looked for, because clients do before they write; it cannot be read or deleted.
func (a admission) separate(operation oci.Route) error {
	if a.namespace == "" || a.Tenancy != Tags {
		return nil
	}
	reads := operation.Method == http.MethodGet
	switch operation.Kind {
	case oci.Manifest:
		own := strings.HasPrefix(operation.Reference, a.namespace+tagSeparator)
		shared := oci.IsDigest(operation.Reference) && !reads && operation.Method != http.MethodDelete
		if own || shared {
			return nil
		}
		return oci.Errorf(oci.Denied, "namespace %s may use tags that begin with %q here: name the tag %s", a.namespace,
			a.namespace+tagSeparator, a.namespace+tagSeparator+"…")
	case oci.Blob:
		if reads || operation.Method == http.MethodDelete {
			return oci.Errorf(oci.Denied, "namespaces share the blobs of one repository here: nobody may download or delete them")
		}
	case oci.Tags, oci.Referrers:
		return oci.Errorf(oci.Denied, "namespaces share one repository here: nobody may list what is in it")
	}
	return nil
}
