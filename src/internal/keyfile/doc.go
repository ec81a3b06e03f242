// SPDX-License-Identifier: Apache-2.0

// Package keyfile reads and makes the files with the keys that replicas share.
//
// There may be several keys, so that one can be replaced while what it sealed is still in use: the first
// seals, all open. No error quotes a key.
package keyfile
