// SPDX-License-Identifier: Apache-2.0

package settings

import "strings"

// What namespaced_api.tenancy can be: each namespace pushes to a repository of its own below the target, or
// all push to the target, each with tags of its own.
const (
	TenancyRepositories = "repositories"
	TenancyTags         = "tags"
)

// longestNamespace is how long a label of RFC 1123 can be.
const longestNamespace = 63

// tenancy returns how namespaces share the target. What does not go together with it is an error while the
// namespaced API is enabled, as it is to the schema of the package.
func (v Values) tenancy(place string) (string, error) {
	switch chosen := v.NamespacedAPI.Tenancy; {
	case chosen == "" || chosen == TenancyRepositories:
		return TenancyRepositories, nil
	case chosen != TenancyTags:
		return "", &Error{Place: place, Key: "namespaced_api.tenancy", Problem: "is not known",
			Remedy: "write repositories or tags"}
	case v.NamespacedAPI.Enabled && v.AllowPull:
		return "", &Error{
			Place: place, Key: "allow_pull",
			Problem: "is true with namespaced_api.tenancy: tags, where namespaces share the blobs of one repository",
			Remedy:  "set it to false, or tenancy to repositories",
		}
	default:
		return TenancyTags, nil
	}
}

// checkRoom reports a target below which a namespace cannot have a repository of its own.
func checkRoom(place, key, registry, path string) error {
	switch {
	case registry == dockerHub && strings.Contains(path, "/"):
		return &Error{
			Place: place, Key: key, Problem: "is on Docker Hub, where namespaces cannot have repositories of their own below it",
			Remedy: "set namespaced_api.tenancy to tags",
		}
	case len(registry)+1+len(path)+1+longestNamespace > longestName:
		return &Error{
			Place: place, Key: key,
			Problem: "leaves no room for the name of a namespace: with it, it could be longer than 255 characters",
			Remedy:  "choose a shorter path, or set namespaced_api.tenancy to tags",
		}
	default:
		return nil
	}
}
