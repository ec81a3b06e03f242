// SPDX-License-Identifier: Apache-2.0

// Package preflight finds out whether a registry would take a push, without pushing anything, and whether it
// would let images be pulled.
//
// It starts an upload and cancels it. Nothing less tells. Token servers grant fewer rights than they are
// asked for without a word. A registry with Basic authentication says what an account may do only when the
// account tries.
//
// [CheckPush] goes the whole way step by step: DNS, TCP, TLS, greeting, token, upload. It stops at the
// first step that fails and says what to do about it, because later failures would only follow from that
// one. [CheckPull] begins in the same way. It then finds out what the registry thinks of the credential, and
// reads the manifest and a blob of each image that is named.
package preflight
