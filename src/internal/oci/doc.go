// SPDX-License-Identifier: Apache-2.0

// Package oci has the OCI distribution API as such: names and routes, error codes, the Link header,
// challenges.
//
// It exists so that the rest of the server never takes a path, a status or a header apart by itself. It
// refuses to send a request, to choose a registry, or to decide who may do what.
//
// A path is read from its right end, because a repository name has any number of segments. Reading is
// strict. A path with an empty segment, a dot or an encoded slash is refused and never redirected: the name
// that was checked must be the name that is used.
//
// Handlers return an [Error] or wrap one. They never choose a status: the status belongs to the [Code]. A
// client sees any other error as UNKNOWN without its text, because that text may name the upstream. The log
// has the text.
//
// Of an upstream's Link header only the query survives. Its host and path are never passed on.
//
// Sources: OCI distribution-spec 1.1, "Endpoints", "Error Codes", "Listing Tags", "Listing Referrers"; RFC
// 8288, section 3; RFC 9110, sections 11.2 to 11.6.1; the distribution token specification. UNKNOWN and
// UNAVAILABLE are codes of the reference implementation.
package oci
