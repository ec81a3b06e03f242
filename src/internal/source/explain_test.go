// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// TestDecisionsAreLogged at debug: one line a request, with the rule, and no upload session.
func TestDecisionsAreLogged(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	location := p.Start()
	for _, request := range [][2]string{
		{"PATCH", location}, {"GET", "/v2/"}, {"GET", "/v2/source/blobs/" + registrytest.Digest(layer())},
		{"DELETE", manifests + "v1"}, {"GET", "/v2/source/sub/tags/list"}, {"GET", "/v2/other/tags/list"},
	} {
		p.Do(request[0], request[1])
	}
	var got []string
	for line := range strings.Lines(p.Log.String()) {
		var one struct{ Level, Msg, Name, Operation, Rule, ID string }
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if one.Msg == "admitted" || one.Msg == "refused" {
			got = append(got, one.Level+" "+one.Msg+" "+one.Operation+" "+one.Name+": "+one.Rule)
			if one.ID == "" {
				t.Errorf("no id: %s", line)
			}
		}
	}
	want := []string{
		"DEBUG admitted upload-start source: the name stands for", "DEBUG admitted upload-chunk source: the name stands for",
		"DEBUG admitted ping : the greeting is open to all",
		"DEBUG refused blob-get source: DENIED: the proxy refuses downloads", "DEBUG refused manifest-delete source: UNSUPPORTED: the proxy refuses to delete",
		"DEBUG refused tags source/sub: NAME_UNKNOWN", "DEBUG refused tags other: NAME_UNKNOWN",
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("got %q, want each to begin as %q", got, want)
		}
	}
	if session := location[strings.LastIndex(location, "/")+1:]; strings.Contains(p.Log.String(), session) {
		t.Error("the upload session is in the log")
	}
}
