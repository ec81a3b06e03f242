// SPDX-License-Identifier: Apache-2.0

// Package repository proves what the repository says of itself: that all modules build with the same Go, that
// updates reach every one of them, that CI runs what can be run by hand, with as few rights as it needs, and
// that each promise of the security policy names a test that exists. It starts no program but git.
package repository
