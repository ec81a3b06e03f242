// SPDX-License-Identifier: Apache-2.0

// Package proxy puts the server together. It is the one place that knows all parts.
//
// It decides nothing about requests. Its concern is the process: which sides it has, where settings and
// keys come from, that a change reaches the next request, and the order in which things start and end.
//
// For trying out, it can start go-containerregistry's registry on loopback in the same process. That
// registry authenticates nobody and holds each upload in memory until it is complete, so nothing should be
// kept there.
package proxy
