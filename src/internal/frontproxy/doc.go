// SPDX-License-Identifier: Apache-2.0

// Package frontproxy tells who sends a request that the API server's aggregation layer has forwarded.
//
// The API server shows a client certificate of its own, and writes the user's name into headers (Kubernetes,
// "Configure the Aggregation Layer"). The headers of anybody else mean nothing: without that certificate a
// request is nobody's, whatever it says.
//
// The API server's own library for this, k8s.io/apiserver, would make the server's binary 10 MiB larger, and
// its memory at the start by a third. This package follows its rules.
package frontproxy
