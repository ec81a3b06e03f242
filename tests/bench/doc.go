// SPDX-License-Identifier: Apache-2.0

// Package bench measures what the proxy costs, beside the same client going straight to the same registry.
//
// It exists because an overhead that nobody can measure again is an opinion. Everything runs on one machine
// in one go: the built server, distribution v3 with token authentication, and nginx where it is installed. A
// run measures every way once, in turns, so that whatever else the machine does falls on all of them; ratios
// are taken within a run, and their median is the result.
//
// It asserts that all content arrived, and never a time: the same test that measures is a smoke test with
// small sizes in "make test". README.md beside this file has the method and the findings.
package bench
