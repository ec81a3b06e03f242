// SPDX-License-Identifier: Apache-2.0

// Package proxytest runs the source proxy before a registry double, over real HTTP, for tests alone.
//
// A test then reads like the protocol: what the client asks, what it must be told, and what the registry
// must have been asked.
package proxytest
