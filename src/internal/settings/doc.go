// SPDX-License-Identifier: Apache-2.0

// Package settings has the package's values: it reads them strictly, follows them, and holds what is in
// force.
//
// Operators write the values once for the whole package. Most keys shape manifests, a few steer the server.
// The server gets the whole file, so this package knows every key and refuses the others: a misspelt
// allow_pull must not pass in silence.
//
// [Sources] says where values and the docker config come from: files, or Secrets of the pod's namespace.
// [Live] holds what is in force. A request takes one [Snapshot] and keeps it to its end, so a change never
// disturbs an upload under way. An update that cannot be used is refused, and what was in force stays.
//
// The package does not know what a credential is, and decides nothing about requests.
package settings
