// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SecretKey is where a Kubernetes Secret of type kubernetes.io/dockerconfigjson keeps the config.
const SecretKey = ".dockerconfigjson"

// ParseSecret reads the data of a Kubernetes Secret. The place is its namespace and name. A Secret of another form, such as
// kubernetes.io/dockercfg or Opaque, is an error that says so.
func ParseSecret(place string, data map[string][]byte) (*Config, error) {
	if config, ok := data[SecretKey]; ok {
		return Parse("Secret "+place, config)
	}
	has := "no keys"
	if len(data) > 0 {
		has = strings.Join(slices.Sorted(maps.Keys(data)), ", ")
	}
	return nil, fmt.Errorf("docker config Secret %s: has no key %s (it has %s): create it with \"kubectl create secret docker-registry\"",
		place, SecretKey, has)
}
