// SPDX-License-Identifier: Apache-2.0

// Package cache keeps what the image proxy has pulled, so that a blob is fetched once, and customers can pull
// while the vendor's registry is down.
//
// A [View] is the cache as one repository of one registry sees it. It answers in place of the registry, with
// what the registry has said ([http.RoundTripper]), and with the content of blobs ([View.Open]). All who ask
// for a blob at the same time share one download, and read it while it arrives.
//
// What is kept is in a [Storage]. Two kinds of objects
// are there: content by its digest, and what a registry has said of one repository and when.
//
// The package decides about nobody: the image proxy admits each request before. It serves no content whose
// digest is another, and none for a repository in which the registry has not said that it is. When the storage
// fails, requests go to the registry as if there were no cache.
package cache
