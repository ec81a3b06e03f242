// SPDX-License-Identifier: Apache-2.0

// Package metrics counts what the proxy does, for Prometheus.
//
// Labels take their values from small, closed sets. No name, tag, user or address of a client becomes a
// label, so a client can neither make the set grow nor be followed through it.
package metrics
