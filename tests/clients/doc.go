// SPDX-License-Identifier: Apache-2.0

// Package clients pushes with the clients that people have, through the built server, into the registries
// that people run, and pulls what arrived from the registry itself. It has no code of its own: only tests.
package clients
