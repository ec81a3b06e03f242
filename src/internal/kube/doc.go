// SPDX-License-Identifier: Apache-2.0

// Package kube makes the few calls of the server to the Kubernetes API server.
//
// It reads single Secrets of the server's own namespace, what the aggregation layer says of itself, and the
// custom resources of the image proxy. The Roles for it are the smallest there can be, so every list and watch
// of anything else than custom resources names one object. It refuses to look at all Secrets of a namespace. It
// writes nothing but keys and a certificate that replicas share, the caBundle of one APIService, and the status
// of custom resources.
//
// The client is built with a scheme of the few kinds that are needed. The generated clientset registers
// every kind of Kubernetes, which costs 9 MiB of resident memory before the first request.
package kube
