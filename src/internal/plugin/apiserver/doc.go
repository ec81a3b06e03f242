// SPDX-License-Identifier: Apache-2.0

// Package apiserver is the developer's way to Local Source Proxy: through the API server, by the namespaced
// API or the service proxy, or straight.
//
// Which of the two ways through the API server there is, the first request finds out. What comes after stays
// on that way: a push for a namespace that is denied must not end up where everybody may push.
//
// Requests carry whatever credential the kubeconfig has, and never go to another host, whatever a Location
// says. The package speaks HTTP/1.1, because an HTTP/2 stream to the API server moves at most 256 KiB a
// round trip (quirk K3). It tells errors of the API server from those of the proxy, because their remedies
// differ.
package apiserver
