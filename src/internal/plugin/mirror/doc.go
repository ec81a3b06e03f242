// SPDX-License-Identifier: Apache-2.0

// Package mirror copies an application's images to a registry of the customer's own, or over an air gap in a
// tar.
//
// A [Source] is where images are read: registries, of which some take the license, or a tar. A [Target] is
// where they go: one registry, or a tar. A [Copier] walks each image from its manifest down, whatever media
// types it has, and from there to what refers to it: referrers, and the tags that cosign makes. What the target
// has by its digest is not copied again, and a manifest is written after all that it names. So a copy that was
// interrupted goes on where it stood. go-containerregistry moves the bytes, and checks their digests.
//
// The package shows each credential to the host that it is for and to no other. It holds no blob in memory, and
// never replaces a signature of somebody else.
package mirror
