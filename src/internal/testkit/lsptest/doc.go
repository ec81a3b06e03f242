// SPDX-License-Identifier: Apache-2.0

// Package lsptest stands in for a cluster with Local Source Proxy, for tests of the plugin alone.
//
// It is a TLS server that behaves as the API server's service proxy does. Behind it, a small registry takes
// uploads, continues them, and breaks connections when told to. It proves nothing about the real server.
package lsptest
