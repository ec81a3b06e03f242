// SPDX-License-Identifier: Apache-2.0

// Package engine forwards one request of the distribution API to one registry, and maps the answer back.
//
// It knows OCI and neither side. A [Side] decides whether the caller may do the operation and which
// upstream repository is meant. The engine does the rest. Bodies stream both ways. State between requests
// is in the sealed URL of an upload session and nowhere else. What the registry says about itself
// (Location, Link, names, challenges, errors) is mapped to the client's view, or dropped.
//
// The numbered rules of src/README.md, "The way of a request", are normative for this package.
package engine
