// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// Describe says what a license opens, from its credentials, of which there is one at least, and whether it
// opens anything.
func Describe(credentials []*catalog.Credential, now time.Time) (text string, opens bool) {
	license := credentials[0].License
	opened := license.App
	if license.Images.Limited() {
		opened = "some images of " + license.App
	}
	ended := catalog.End(credentials)
	switch {
	case license.Revoked && license.RevokedAt.IsZero():
		return "was revoked, and opens nothing", false
	case license.Revoked:
		return "was revoked at " + stamp(license.RevokedAt) + ", and opens nothing", false
	case ended.IsZero():
		return "opens " + opened + " to " + license.Customer + ", without an end", true
	case now.Before(ended):
		return "opens " + opened + " to " + license.Customer + " until " + stamp(ended), true
	default:
		return "expired at " + stamp(ended) + ", and opens nothing", false
	}
}
