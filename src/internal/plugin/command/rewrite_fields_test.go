// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestRewriteFields: images outside of Pods are asked about, listed and renamed, and the flags decide.
func TestRewriteFields(t *testing.T) {
	s := newMarket(t)
	host, _, _ := strings.Cut(s.private, "/")
	s.file("base/more.yaml", `apiVersion: example.com/v1
kind: Broker
metadata: {name: b}
spec: {image: "`+host+`/o/broker:1", open: "`+s.public+`:1", chart: {repository: `+host+`/o/chart, tag: v1}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {config.yaml: "a: `+host+`/o/init:1\n"}
`)
	out := s.rewrite("--dry-run")
	out.want(t, 0, `.*renamed +`+host+`/o/broker:1 +Broker b: spec\.image\n.*`, "Warning: Broker b: spec.chart.repository: "+host+"/o/chart:v1 stays: its tag is in another field")
	out.want(t, 0, `.*unchanged +`+s.public+`:1 +Broker b: spec\.open\n.*left +`+host+`/o/chart:v1 +.*left +`+host+`/o/init:1 +ConfigMap c: data\[config\.yaml\]\n.*`, "Warning: ConfigMap c: data[config.yaml]: "+host+"/o/init:1 stays")

	var result rewritten
	out = s.rewrite("--dry-run", "-o", "json", "--in-text", "--image-field", "Broker.example.com:spec.chart.repository",
		"--keep-field", "Broker:spec.image", "--keep-field", "Broker:spec.nothing")
	if err := json.Unmarshal([]byte(out.out), &result); err != nil || out.code != 0 {
		t.Fatalf("%v: %+v", err, out)
	}
	got := map[string]string{}
	for _, field := range result.Fields {
		got[field.Kind+" "+field.Name+" "+field.Path+" "+field.Image] = string(field.Outcome) + " " + field.NewName
	}
	through := "proxy.example.com/proxy/my-app/vendor/o/"
	for field, want := range map[string]string{
		"Broker b spec.image " + host + "/o/broker:1":         "kept ",
		"Broker b spec.open " + s.public + ":1":               "unchanged ",
		"Broker b spec.chart.repository " + host + "/o/chart": "renamed " + through + "chart",
		"ConfigMap c data[config.yaml] " + host + "/o/init:1": "renamed " + through + "init",
	} {
		if got[field] != want {
			t.Errorf("%s: %q, want %q", field, got[field], want)
		}
	}
	if warnings := strings.Join(result.Warnings, "\n"); !strings.Contains(warnings, "Broker:spec.nothing selects nothing in the base") || strings.Contains(warnings, "stays") {
		t.Errorf("warnings:\n%s", warnings)
	}
	s.rewrite("--dry-run", "--keep-field", "Broker").want(t, 2, "", `--keep-field "Broker": write KIND:PATH, such as Kafka:spec.kafka.image`)
	s.rewrite("--dry-run", "--image-field", "Broker:a[0").want(t, 2, "", `--image-field "Broker:a[0": a bracket is not closed`)
}
