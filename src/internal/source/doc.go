// SPDX-License-Identifier: Apache-2.0

// Package source is the source proxy: developers push source code with nothing but a kubeconfig.
//
// It authenticates nobody. The Kubernetes API server did, and admits only those who may use services/proxy.
// For all of them the name "source" stands for exactly the repository that the operator configured. What
// lets one developer read another's source, or delete it, is refused unless the operator allows it.
package source
