// SPDX-License-Identifier: Apache-2.0

// Package session seals the state of an upload into the URL that the client gets, so that any replica
// continues it.
//
// The token in that URL is an authenticated encryption (AES-256-GCM) of a [Record]. It is sealed because
// the client sends it back: otherwise a client could aim the operator's credential at any URL of the
// registry. A token that does not open, has expired or belongs to another name is [ErrUnknown], without a
// hint as to which. The upstream is not asked anything then.
//
// Registries that keep this state in one replica answer "blob upload invalid" behind a load balancer (quirk
// U9).
package session
