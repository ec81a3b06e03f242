// SPDX-License-Identifier: Apache-2.0

// Package workload writes a Workload of carto.run/v1alpha1 for a source that was pushed, and knows when to
// stay out of it.
//
// Three kinds of people edit a Workload: those whose source the proxy carries, those who push to a
// repository of their own, and those who build from git or bring an image. An annotation says whose it is.
// [Decide] goes by that alone, and [Build] keeps annotation and source in step. The package talks to no
// cluster and no registry, and leaves every other field as it is.
package workload
