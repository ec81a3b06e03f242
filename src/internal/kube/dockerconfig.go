// SPDX-License-Identifier: Apache-2.0

package kube

import "fmt"

// Where Kubernetes keeps a docker config.
const (
	dockerConfigType = "kubernetes.io/dockerconfigjson"
	dockerConfigKey  = ".dockerconfigjson"
)

// DockerConfig is the docker config of a registry credential. A Secret of any other form, such as
// kubernetes.io/dockercfg or Opaque, is an error that says what to do; whether the config itself is any good
// is not judged here.
func (s *Secret) DockerConfig() ([]byte, error) {
	data, ok := s.Data[dockerConfigKey]
	if s.Type != dockerConfigType || !ok {
		return nil, fmt.Errorf("it is not a registry credential: its type must be %s, with the key %q: create it with kubectl create secret docker-registry",
			dockerConfigType, dockerConfigKey)
	}
	return data, nil
}
