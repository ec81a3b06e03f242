// SPDX-License-Identifier: Apache-2.0

// Package harness starts the built server, real registries and the doubles that the black-box tiers need.
//
// It exists so that a test reads as what happens between a client, the server and a registry. It never
// imports the server's packages: what is proved here is proved about the binary. Everything listens on
// loopback, on ports that the system chooses. Every process that it starts is ended, and waited for, before
// the test ends.
package harness
