// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

func pullLine(time, license, reference string) string {
	return `{"time":"2026-11-21T08:` + time + `Z","level":"INFO","msg":"pull","id":"R","customer":"Acme","license":"` + license +
		`","app":"shop","action":"manifest","image":"quay.io/team/api","reference":"` + reference + `","status":200,"success":true,"bytes":7,"duration":1500000,"remote":"192.0.2.1"}` + "\n"
}

func TestLicensePulls(t *testing.T) {
	w := newWorld(t)
	w.api.Put("licenses", "tap-local-source-system", "acme", map[string]any{"apiVersion": v1alpha1.APIVersion, "kind": "License", "spec": map[string]any{"appSlug": "shop"}})
	w.run("license", "pulls", "acme").want(t, 1, "", "there is no pod app.kubernetes.io/name=image-proxy in namespace tap-local-source-system")
	w.api.Logs = map[string]string{
		"image-proxy-1": pullLine("01:00", "acme", "v1") + "no JSON\n" + pullLine("03:00", "acme", "v3"),
		"image-proxy-2": pullLine("02:00", "acme", "v2") + pullLine("02:30", "beta", "other"),
	}
	w.run("license", "pulls", "acme").want(t, 0, `(?s)TIME +ACTION +IMAGE +REFERENCE +STATUS +BYTES +DURATION\n2026-11-21T08:01:00Z +manifest +quay\.io/team/api +v1 +200 +7 +2ms\n\S+ .* v2 .*\n\S+ .* v3 .*\n`, "")
	out := w.run("license", "pulls", "acme", "--limit", "2", "-o", "json")
	var got []struct{ Reference, Remote string }
	if err := json.Unmarshal([]byte(out.out), &got); err != nil || len(got) != 2 || got[0].Reference != "v2" || got[1].Remote != "192.0.2.1" {
		t.Errorf("%v: %+v", err, out)
	}
	w.run("license", "pulls", "acme", "--since", "1ns", "-o", "yaml").want(t, 0, `\[\]\n`, "")
	w.run("license", "pulls", "nobody").want(t, 1, "", `there is no license "nobody"`)
	w.run("license", "pulls", "acme", "--dir", t.TempDir()).want(t, 2, "", "a directory has no log: name the server's with --log FILE")
	w.answer(w.api.Logs["image-proxy-2"], "license", "pulls", "beta", "--log", "-").want(t, 0, `(?s).* other .*`, "")
	w.write("server.log", w.api.Logs["image-proxy-1"])
	w.run("license", "pulls", "acme", "--log", filepath.Join(w.tree, "server.log"), "-o", "wide").want(t, 0, `(?s).*REMOTE +ERROR +ID\n.*192\.0\.2\.1 +<none> +R\n`, "")
	w.run("license", "pulls", "gone", "--log", filepath.Join(w.tree, "server.log")).want(t, 0, "", "No pulls with license gone in the log.")
	w.write("text.log", "level=INFO msg=pull license=acme\n")
	text := filepath.Join(w.tree, "text.log")
	w.run("license", "pulls", "acme", "--log", text).want(t, 1, "", text+": no line of it is JSON: run the server with --log-format json, or name the server's log\n")
	w.answer("no log\n", "license", "pulls", "acme", "--log", "-").want(t, 1, "", "standard input: no line of it is JSON")
}

// TestLicensePullsOfACache: what part the cache had is told where the server has one.
func TestLicensePullsOfACache(t *testing.T) {
	w := newWorld(t)
	cached := func(line, result string) string {
		return strings.Replace(line, `"remote"`, `"cache":"`+result+`","remote"`, 1)
	}
	log := cached(pullLine("01:00", "acme", "v1"), "miss") + cached(pullLine("02:00", "acme", "v2"), "stale") + pullLine("03:00", "acme", "v3")
	w.answer(log, "license", "pulls", "acme", "--log", "-").want(t, 0,
		`TIME +ACTION +IMAGE +REFERENCE +STATUS +BYTES +DURATION +CACHE\n\S+ .* v1 .* miss\n\S+ .* v2 .* stale\n\S+ .* v3 .* <none>\n`, "")
	w.answer(log, "license", "pulls", "acme", "--log", "-", "-o", "wide").want(t, 0, `(?s).*CACHE +REMOTE +ERROR +ID\n.*`, "")
	out := w.answer(log, "license", "pulls", "acme", "--log", "-", "-o", "json")
	var got []map[string]any
	if err := json.Unmarshal([]byte(out.out), &got); err != nil || len(got) != 3 || got[0]["cache"] != "miss" || got[1]["cache"] != "stale" {
		t.Errorf("%v: %+v", err, out)
	}
	if _, told := got[2]["cache"]; told {
		t.Errorf("a pull without a cache says %v", got[2])
	}
}
