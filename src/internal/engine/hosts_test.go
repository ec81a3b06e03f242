// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strings"
	"testing"
)

// TestForeignHostsAreNotPassedOn: a registry's errors name the hosts behind it.
func TestForeignHostsAreNotPassedOn(t *testing.T) {
	for message, want := range map[string]string{
		"lookup storage.internal.example on 10.0.0.2:53: no such host": "lookup [address] on [address]: no such host",
		"dial tcp 192.0.2.7:443: connect: connection refused":          "dial tcp [address]: connect: connection refused",
		"dial tcp [2001:db8::7]:443: i/o timeout":                      "dial tcp [address]: i/o timeout",
		"from 2001:db8::7.":                               "from [address].",
		"blocked by proxy.corp.example.":                  "blocked by [address].",
		"see evil.example/path or minio.storage.svc:9000": "see [address] or [address]",
		"bucket.s3.eu-west-1.amazonaws.com/key?x":         "[address]?x",
		// What is no host.
		"unknown manifest class for application/vnd.oci.image.index.v1+json": "unknown manifest class for application/vnd.oci.image.index.v1+json",
		"manifest unknown: tag v1.2.3, 1.0.rc and release.candidate":         "manifest unknown: tag v1.2.3, 1.0.rc and release.candidate",
		"config.json and layer.tar.gz are missing. Ask e.g. the operator":    "config.json and layer.tar.gz are missing. Ask e.g. the operator",
		"blob unknown to registry: sha256:" + strings.Repeat("a", 64):        "blob unknown to registry: sha256:" + strings.Repeat("a", 64),
		"at 12:30:45, 100.5 MB of team.a/code":                               "at 12:30:45, 100.5 MB of team.a/code",
	} {
		if got := withoutHosts(message, "team.a/code release.candidate"); got != want {
			t.Errorf("%q became %q, want %q", message, got, want)
		}
	}
}

// FuzzWithoutHosts: whatever is around it, a host does not come through.
func FuzzWithoutHosts(f *testing.F) {
	for _, seed := range []string{"lookup %: no such host", "at % and more", "(%)", "<%>", "\"%\"", "host=%,port=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, around string) {
		before, after, found := strings.Cut(around, "%")
		if !found {
			return
		}
		for _, host := range []string{"storage.internal.example", "storage.internal.example:9000", "192.0.2.77", "[2001:db8::77]:443"} {
			// A host that is part of a longer word is no name of a host.
			if got := withoutHosts(before+" "+host+" "+after, ""); strings.Contains(got, host) {
				t.Errorf("%q became %q", before+" "+host+" "+after, got)
			}
		}
	})
}
