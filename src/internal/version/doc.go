// SPDX-License-Identifier: Apache-2.0

// Package version says which build is running, for "version" commands, logs and the User-Agent.
//
// The build script stamps released binaries. Any other build reports what the Go toolchain wrote into it.
// What is not known is empty or "devel".
package version
