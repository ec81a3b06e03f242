// SPDX-License-Identifier: Apache-2.0

// Package docs proves that the samples in the documentation are what the programs print. It has no code of
// its own: only tests.
package docs
