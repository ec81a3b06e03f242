// SPDX-License-Identifier: Apache-2.0

// Package exchange repeats, request by request, what existing clients send and checks what they rely on. It
// has no code of its own: only tests.
package exchange
