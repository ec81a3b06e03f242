// SPDX-License-Identifier: Apache-2.0

// Package faults breaks what the server depends on, and attacks the operator's credential. It has no code of
// its own: only tests.
package faults
