// SPDX-License-Identifier: Apache-2.0

// Package push sends an image to Local Source Proxy over a line that may break.
//
// An API server may restart (quirk K4), and a registry may be slow. Every step is repeated with growing
// pauses. An upload continues where the registry says it stopped, also in a later process. What the
// registry has is not sent again.
//
// The package refuses to hold a layer in memory and to repeat what the answer calls final. Where the state
// of an upload is not known, it asks first, and begins anew when there is no answer.
package push
