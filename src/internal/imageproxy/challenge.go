// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"net/http"
	"regexp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

const (
	// tokenPath is where tokens are bought.
	tokenPath = "/v2/token"
	// basic asks for a license as a password.
	basic = `Basic realm="License"`
)

// hosts is the grammar of the names under which a client may say that it has reached us: nothing that could
// end a quoted string, or mean another place to somebody else.
type hosts struct{ valid *regexp.Regexp }

func newHosts() hosts {
	return hosts{regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$`)}
}

func (h hosts) accepts(host string) bool { return len(host) <= maxHost && h.valid.MatchString(host) }

// challenge asks for a license, in both ways that clients know. Bearer comes first: clients that read only one
// challenge read the first, and keep the license id off all requests but one.
func (v *visit) challenge(r *http.Request, answer *oci.Error, name, failure string) *oci.Error {
	at, ok := v.realm(r)
	if !ok {
		return answer.With("WWW-Authenticate", basic)
	}
	bearer := `Bearer realm="` + at.scheme + "://" + at.host + tokenPath + `",service="` + at.host + `"`
	if name != "" {
		bearer += `,scope="` + scopeOf(name) + `"`
	}
	if failure != "" {
		bearer += `,error="` + failure + `"`
	}
	return answer.With("WWW-Authenticate", bearer, basic)
}

// scopeOf is the right to pull from a repository (distribution token specification, "Resource Scope").
func scopeOf(name string) string { return "repository:" + name + ":pull" }
