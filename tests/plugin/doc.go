// SPDX-License-Identifier: Apache-2.0

// Package plugin runs the built "kubectl lsp" as a developer does: with a kubeconfig, through the API
// server's way into the built server, into a real registry, and looks at the result with the tools that read
// it: imgpkg, skopeo, crane, kubectl. It has no code of its own: only tests.
package plugin
