// SPDX-License-Identifier: Apache-2.0

// Package imageproxy is the image proxy: customers pull a vendor's private images with a license.
//
// A license opens one application's images. The vendor's objects say which registries an application may
// use. Every request is decided by the catalog that is in force when it arrives, so an edited license
// counts for the next request.
//
// The vendor's credentials stay on this side. So does the knowledge of which registry answers: what a
// customer reads names nothing that the customer has not written.
//
// A license id buys a [Token] from the [Issuer], a JSON Web Token of five minutes. The token says which id
// bought it and for which repositories. It says nothing about whether the license is still good: that is
// looked up again at every request.
//
// Who keeps failing is throttled by source address. Successes are never refused, because a whole company
// may be behind one address. This is no defence against guessing: a license id has 128 random bits.
//
// Every request becomes one [Record] for the log, the metrics and the license's status. It has names and no
// ids.
//
// The package only reads. It refuses every registry that is not configured, and remembers nothing about a
// customer between requests.
//
// Sources: distribution token specification; RFC 7519, RFC 8725.
package imageproxy
