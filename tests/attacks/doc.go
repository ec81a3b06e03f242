// SPDX-License-Identifier: Apache-2.0

// Package attacks attacks the built server from outside, while an honest client pushes and pulls. The server
// has what a pod of the package has: its memory, its processor time, its environment. The attacks are bounded,
// and stay on loopback, where every address of 127.0.0.0/8 is a client of its own.
package attacks
