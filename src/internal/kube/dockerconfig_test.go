// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
)

func TestDockerConfig(t *testing.T) {
	const right, refused = "kubernetes.io/dockerconfigjson", `it is not a registry credential: its type must be kubernetes.io/dockerconfigjson, ` +
		`with the key ".dockerconfigjson": create it with kubectl create secret docker-registry`
	config := []byte(`{"auths": {}}`)
	for name, tt := range map[string]struct {
		secret kube.Secret
		err    string
	}{
		"credential":        {kube.Secret{Type: right, Data: map[string][]byte{".dockerconfigjson": config, "more": nil}}, ""},
		"opaque":            {kube.Secret{Type: "Opaque", Data: map[string][]byte{".dockerconfigjson": config}}, refused},
		"user and password": {kube.Secret{Type: "kubernetes.io/basic-auth", Data: map[string][]byte{"username": nil, "password": nil}}, refused},
		"old form":          {kube.Secret{Type: "kubernetes.io/dockercfg", Data: map[string][]byte{".dockercfg": config}}, refused},
		"no keys":           {kube.Secret{Type: right}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.secret.DockerConfig()
			if tt.err == "" && (err != nil || string(got) != string(config)) || tt.err != "" && (err == nil || err.Error() != tt.err || got != nil) {
				t.Errorf("%q, %v; want the error %q", got, err, tt.err)
			}
		})
	}
}
