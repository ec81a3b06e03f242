// SPDX-License-Identifier: Apache-2.0

// Package kube makes the few calls of the server to the Kubernetes API server.
//
// It reads single Secrets of the server's own namespace, and the custom resources of the image proxy. The
// Roles for it are the smallest there can be, so every list and watch of Secrets names one. It refuses to
// look at all Secrets of a namespace. It writes nothing but keys that replicas share and the status of
// custom resources.
//
// The client is built with a scheme of the few kinds that are needed. The generated clientset registers
// every kind of Kubernetes, which costs 9 MiB of resident memory before the first request.
package kube
