// SPDX-License-Identifier: Apache-2.0

// Package registry is a registry on loopback that leads to Local Source Proxy with the kubeconfig's
// credential.
//
// Docker, podman, ko and Tilt push to a registry, but not through an API server. They get an address on
// this machine and need no credential. Whoever reaches that address acts as the user. The package therefore
// refuses every request that a web page could have caused, and every path outside of /v2/. It passes none
// of the client's credentials on.
package registry
