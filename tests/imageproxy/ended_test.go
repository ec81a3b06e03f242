// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"fmt"
	"strings"
	"testing"
)

// quirk K7: podman and skopeo print only the status when a token server refuses. So the token server refuses
// no license that has ended, and the manifest's answer says why. containerd asks by HEAD, whose answer has no
// text, and prints no more than its status; but it says that the image was refused, and not that it could not
// log in.
func TestQuirkK7ClientsShowWhyALicenseEnded(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	ended := map[string]*license{}
	for reason, spec := range map[string]string{
		"this license was revoked at ":                 "  revoked: true\n",
		"this license expired at 2020-02-03T04:05:06Z": "  expiresAt: 2020-02-03T04:05:06Z\n",
	} {
		ended[reason] = v.license(fmt.Sprintf("customer-%d", len(ended)))
		ended[reason].write(spec)
	}
	v.pushed("private", "v1")
	server := v.serve()
	image := server.Images + "/" + name("private") + ":v1"
	for _, client := range clients() {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			for reason, license := range ended {
				got, err := client.pull(t, image, license.id)
				if err == nil {
					t.Errorf("it pulled %s though %s", got, reason)
					continue
				}
				said := reason
				if client.name == "containerd" {
					said = "[manifests v1]: 403 Forbidden"
				}
				if !strings.Contains(err.Error(), said) {
					t.Errorf("it does not print %q, but %v", said, err)
				}
			}
		})
	}
}
