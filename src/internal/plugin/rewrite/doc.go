// SPDX-License-Identifier: Apache-2.0

// Package rewrite sends an application's private images through the image proxy, without edits to the
// application.
//
// The application is a [Base]: a vendor's directory of manifests, as kustomize sees it. The images and pull
// Secrets of its Pods are read from YAML nodes, so a field that is newer than this program is no error. An
// [Image] keeps its name exactly as it was written, because kustomize compares names as text. Its registry
// is asked for the manifest without credentials, which tells private images from public ones.
//
// Images are elsewhere, too: where an operator makes Pods of them. A [Field] is such a string. Kinds are not
// known for that. A Pod template is found by its form, and an image by what it looks like, by what it is called,
// and by the registries that the base's containers have. What need not be an image is renamed only when its
// registry wants credentials for it. What stays is a warning.
//
// A [Plan] is the kustomization between the base and what a customer applies. It renames private images and
// gives their Pods the pull Secret. Its files are put on a [Stage], kustomize builds the stage as if it
// were on disk, and [Plan.Verify] compares the outcome. Only then are all files written, or none.
//
// Pods that an operator makes later are in no base. With [Plan.AdmissionPolicy] the API server renames their
// images itself, by expressions in its own language, CEL.
//
// The user may edit the kustomization: comments, order and entries of others stay. The package refuses to
// write through symbolic links, to add fields to kinds that may not have them, and to talk to a cluster.
package rewrite
