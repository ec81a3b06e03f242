// SPDX-License-Identifier: Apache-2.0

package keychain_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

func TestCredentialIsNeverPrinted(t *testing.T) {
	tests := []struct {
		credential keychain.Credential
		want       string
	}{
		{keychain.Credential{}, "anonymous"},
		{keychain.Credential{Username: "hunter2", Password: "hunter2"}, "user name and password"},
		{keychain.Credential{Username: "hunter2", IdentityToken: "hunter2"}, "identity token"},
		{keychain.Credential{RegistryToken: "hunter2"}, "registry token"},
	}
	for _, test := range tests {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			if got := fmt.Sprintf(verb, test.credential); got != test.want {
				t.Errorf("%s: got %q, want %q", verb, got, test.want)
			}
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "credential", test.credential)
		if !strings.Contains(log.String(), test.want) || strings.Contains(log.String(), "hunter2") {
			t.Errorf("logged %s", log.String())
		}
	}
}
