// SPDX-License-Identifier: Apache-2.0

// Package catalog is what the image proxy knows at one moment: the licenses and registries that are in
// force.
//
// A [Catalog] never changes. A changed object makes another catalog, which the next request uses. Only
// valid objects are in it. It decides nothing about requests: whether a license has ended, and what an
// answer says, is package imageproxy's.
package catalog
