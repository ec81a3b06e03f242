// SPDX-License-Identifier: Apache-2.0

// Package command holds the commands of "kubectl lsp", a file a verb: push.go, workload_apply.go,
// license_create.go.
//
// Each has a constructor with the help text, a struct with the options, validate, which looks at the command
// line alone, and run. See [verb]. To add a subcommand, write such a file, and name its constructor in
// root.go or in its parent, such as license.go.
//
// What several verbs share has a file that says so: kube.go (kubectl's flags, the way to the proxy), print.go
// (-o, tables, lines), progress.go, prompt.go, completion.go, source.go (packing and sending a tree),
// license_place.go (cluster or --dir), license_handout.go (what a customer gets), customer_license.go (a
// license file as input).
package command
