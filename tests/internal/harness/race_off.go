// SPDX-License-Identifier: Apache-2.0

//go:build !race

package harness

// buildFlags build the server as the tests are: without the race detector.
func buildFlags() []string { return nil }
