// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"slices"
	"testing"
	"time"
)

// The credential is exchanged while pushes run: nobody notices, and the old account can be closed seconds
// later.
func TestCredentialRotation(t *testing.T) {
	u := installFor(t, nil)
	before := pods(t)
	load := startPushes(t, 4, untilStopped, content{size: 8 << 20})
	load.waitFor(t, 4)

	step(t, "the Secret gets the credential of another account")
	successor := u.addAccount("successor")
	u.tokens.Reset()
	setCredential(t, u.dockerConfig("successor", successor))
	eventually(t, 2*time.Minute, "the proxy uses the new account", func() error { return load.tokenBy(u, "successor") })

	// Uploads that were under way at the exchange finish with the account that they began with.
	load.waitFor(t, 4)
	step(t, "the old account is closed")
	u.tokens.SetUser("robot", u.closed())
	u.user, u.password = "successor", successor
	u.tokens.Reset()
	load.waitFor(t, 8)
	load.stop(t)
	if load.retries() != 0 {
		t.Errorf("%d requests had to be repeated during the exchange", load.retries())
	}
	for _, request := range u.tokens.Requests() {
		if request.User == "robot" {
			t.Errorf("the old account was still used after it was closed: status %d", request.Status)
		}
	}
	load.check(t, u)

	same := func(a, b pod) bool { return a.uid == b.uid && a.restarts == b.restarts }
	if after := pods(t); !slices.EqualFunc(before, after, same) {
		t.Errorf("pods were replaced or restarted: %+v before, %+v after", before, after)
	}
}
