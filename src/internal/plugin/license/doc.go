// SPDX-License-Identifier: Apache-2.0

// Package license is what a vendor does with licenses, and what a customer gets.
//
// A vendor makes, looks up, revokes, extends, rotates and deletes licenses. Functions on one license decide
// what changes. A [Store] is the place: custom resources ([Cluster]) or a directory of YAML files
// ([Directory]). Both write only what changed, and neither overwrites what somebody else changed in the
// meantime. A store never sees a license id, only its hash.
//
// A customer gets a [CustomerLicense], the one file with the id itself. The package makes the docker config
// and the pull Secret from it, and also reads the license file of KOTS vendors. A mistake in it is an error
// with place and line, and without the value: one of the values is the id.
//
// [Pull] is one line of the image proxy's log. The log is the only history: the package keeps none.
package license
