// SPDX-License-Identifier: Apache-2.0

// Package strictyaml reads YAML that an operator wrote into Go types, and refuses what the types do not
// have.
//
// The YAML library's own strict mode knows neither the path of a key nor the key that was probably meant.
// Here every problem is an [Error] with its place and line. No error repeats a value, which could be a
// misplaced password.
package strictyaml
