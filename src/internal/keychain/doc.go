// SPDX-License-Identifier: Apache-2.0

// Package keychain says which credential belongs to a registry host.
//
// A developer has no credential for the registry. The operator's is found here: in a docker config, or in
// the identity that a cloud has assigned to the machine. The package never says that a credential is good, which
// only the registry can. It never prints one, however it is formatted or logged.
package keychain
