// SPDX-License-Identifier: Apache-2.0

// Package images tests the image proxy: customers of a vendor pull images with a license, by the clients that
// they really use, from the registries that vendors really have.
package images
