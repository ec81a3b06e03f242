// SPDX-License-Identifier: Apache-2.0

// Package sessions proves that any replica continues any upload, and that nobody can make a session up. It
// has no code of its own: only tests.
package sessions
