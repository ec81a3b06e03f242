// SPDX-License-Identifier: Apache-2.0

// Package conformance_test runs the distribution specification's own conformance suites straight at
// registries and then through every way that leads to them, and compares test by test: what passes straight
// has to pass through.
//
// It is a module of its own, for the suite is a program with dependencies of its own. The suite as it was
// until 2025, a test binary with ginkgo, has the same module path at another version: the module in ginkgo/
// pins that one.
package conformance_test
