// SPDX-License-Identifier: Apache-2.0

// Package dockerconfig finds the operator's credential in a docker config.json, the form of every push
// Secret.
//
// Docker's own code says what an entry means. Which entry belongs to a host is more forgiving than docker,
// because the file comes from many tools. A key may have a scheme, /v1/, a path as the kubelet allows, or
// any of Docker Hub's names.
//
// The package reads bytes, and never a file or the environment. It runs nothing but the credential helpers
// that the config names. It refuses the older .dockercfg form, and never writes a config.
package dockerconfig
