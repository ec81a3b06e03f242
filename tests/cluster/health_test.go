// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every answer of /health, and of the API server in its place, by what really causes it.
func TestHealth(t *testing.T) {
	explain(t)
	dev := as(t, "developer")
	uninstall(t)

	step(t, "the package is absent: 404 from the API server for who may ask")
	as(t, "admin").expect(t, http.StatusNotFound, "GET", prefix+"/health")
	step(t, "no permission either: 403")
	dev.expect(t, http.StatusForbidden, "GET", prefix+"/health")

	step(t, "installed without values: the repository is empty")
	install(t, here.versions[0], values{})
	eventually(t, 2*time.Minute, "500, and why", func() error {
		got, err := dev.do(t.Context(), "GET", prefix+"/health", nil, nil)
		if err != nil {
			return err
		}
		if got.status != http.StatusInternalServerError || !strings.Contains(got.body, `"statuscode":"500"`) ||
			!strings.Contains(got.body, "registry+server+configuration+in+the+cluster+is+invalid") {
			return fmt.Errorf("status %d: %s", got.status, got.body)
		}
		return nil
	})

	step(t, "with a repository and a good credential")
	u := startUpstream(t)
	install(t, here.versions[0], valuesFor(t, u, nil))
	setCredential(t, u.dockerConfig(u.user, u.password))
	eventually(t, 2*time.Minute, "healthy", func() error { return health(t, dev, http.StatusOK, "200") })

	step(t, "the password is wrong")
	setCredential(t, u.dockerConfig(u.user, "not-the-password"))
	eventually(t, 2*time.Minute, "200 with the upstream's 401", func() error { return health(t, dev, http.StatusOK, "401") })
	setCredential(t, u.dockerConfig(u.user, u.password))
	eventually(t, 2*time.Minute, "healthy again", func() error { return health(t, dev, http.StatusOK, "200") })

	step(t, "the upstream is down")
	u.stop()
	eventually(t, 2*time.Minute, "200 with a status of the 5xx", func() error {
		for _, code := range []string{"500", "502", "503", "504"} {
			if health(t, dev, http.StatusOK, code) == nil {
				return nil
			}
		}
		return health(t, dev, http.StatusOK, "502")
	})
	for _, pod := range pods(t) {
		if !pod.ready {
			t.Errorf("pod %s is not ready because the upstream is down", pod.name)
		}
	}
	u.start(t)
	eventually(t, 2*time.Minute, "healthy again", func() error { return health(t, dev, http.StatusOK, "200") })

	step(t, "no pod is ready")
	kubectl(t, "scale", "-n", namespace, deployment, "--replicas=0")
	eventually(t, 2*time.Minute, "503 from the API server", func() error {
		got, err := dev.do(t.Context(), "GET", prefix+"/health", nil, nil)
		if err == nil && got.status != http.StatusServiceUnavailable {
			err = errors.New(got.body)
		}
		return err
	})
	kubectl(t, "scale", "-n", namespace, deployment, "--replicas=1")
	eventually(t, 2*time.Minute, "healthy again", func() error { return health(t, dev, http.StatusOK, "200") })
}
