// SPDX-License-Identifier: Apache-2.0

// Package rewrite runs the built "kubectl lsp rewrite" and "kubectl lsp helm-values" with what their results
// are for: the real kubectl, the real Helm, and real registries with and without authentication. It is a Go
// module of its own because of what these two need, and has no code but tests.
package rewrite
