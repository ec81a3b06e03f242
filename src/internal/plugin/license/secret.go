// SPDX-License-Identifier: Apache-2.0

package license

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Username goes with a license id; any other would do.
const Username = "LICENSE_ID"

// entry is a registry's credential, with the keys that "docker login" and kubectl write.
type entry struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// DockerConfig is a docker config.json with the license id as the credential of one or several domains.
func DockerConfig(id string, domains ...string) ([]byte, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("make a docker config: the license id %w", err)
	}
	if len(domains) == 0 {
		return nil, errors.New("make a docker config: no domain to pull from")
	}
	auths := map[string]entry{}
	for _, domain := range domains {
		if err := CheckDomain(domain); err != nil {
			return nil, fmt.Errorf("make a docker config: %q %w", domain, err)
		}
		auths[domain] = entry{Username, id, base64.StdEncoding.EncodeToString([]byte(Username + ":" + id))}
	}
	raw, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return nil, fmt.Errorf("make a docker config: %w", err)
	}
	return raw, nil
}

// PullSecretName is what the pull Secret of an application is called.
func PullSecretName(app string) string { return app + "-registry" }

// PullSecret is what a Pod names in imagePullSecrets. Its namespace is the caller's.
func PullSecret(app, id string, domains ...string) (*corev1.Secret, error) {
	if err := CheckApp(app); err != nil {
		return nil, fmt.Errorf("make a pull Secret: the application %w", err)
	}
	config, err := DockerConfig(id, domains...)
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: PullSecretName(app)},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: config},
	}, nil
}
