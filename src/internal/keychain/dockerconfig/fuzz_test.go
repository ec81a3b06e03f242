// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"strings"
	"testing"
)

// FuzzParse: any bytes are a config or an error of one line, and a listed host or repository is found again.
// No helper runs.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"auths": {"r.example.com": {"auth": "`+basic("a", "b")+`"}}}`), "r.example.com", "")
	f.Add([]byte(`{"auths": {"https://index.docker.io/v1/": {"identitytoken": "t"}}, "credsStore": "desktop"}`), "docker.io", "library/x")
	f.Add([]byte(`{"auths": {"*.example.com/team": {"username": "u", "password": "p"}}, "credHelpers": {"gcr.io": "gcloud"}}`), "r.example.com", "team/app")
	f.Add([]byte(`{"auths": {"user@@r.example.com": {"identitytoken": "t"}}}`), "r.example.com", "")
	f.Add([]byte(`{"auths": {"r.example.com": {"auth": "!"}}}`), "r.example.com", "")
	f.Add([]byte("{\n\"auths\": 7}"), "", "")
	f.Add([]byte(`{"r.example.com": {"auth": "`+basic("a", "b")+`"}}`), "[", "/")
	f.Fuzz(func(t *testing.T, data []byte, host, repository string) {
		c, err := Parse("place", data)
		if err != nil {
			if c != nil || !strings.HasPrefix(err.Error(), "docker config place: ") || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("config %v with the error %q", c, err)
			}
			return
		}
		if best := c.find(host, repository); best.key.host != "" && !best.key.matches(parseKey(host).host, repository) {
			t.Errorf("%q, %q: found the foreign entry %v", host, repository, best.key)
		}
		for _, e := range c.entries {
			if e.key.host == "" {
				continue
			}
			if best := c.find(e.key.host, e.key.path); best.key != e.key || best.credential.Anonymous() {
				t.Errorf("%v: found %v instead", e.key, best.key)
			}
		}
		for _, listed := range c.Hosts() {
			c.helperFor(listed)
		}
	})
}
