// SPDX-License-Identifier: Apache-2.0

// Package support gathers what somebody else needs to see why Local Source Proxy does not work.
//
// The result leaves the organisation, so nothing secret may be in it. Three measures stand behind each other.
// Objects are projected onto fields that are known to hold no secret. What the namespace's Secrets and the
// kubeconfig hold is taken out of every text. So is everything that has the form of a credential, because
// not every secret is known.
//
// The package changes nothing in the cluster. What it may not read is a note in the archive, and no failure.
package support
