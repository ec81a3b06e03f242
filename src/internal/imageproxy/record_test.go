// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
)

func TestTheLine(t *testing.T) {
	record := imageproxy.Record{
		ID: "id", Customer: "Acme", License: "acme", App: "app", Action: imageproxy.Blob, Image: "quay.io/team/api", Reference: "sha256:00",
		Status: 200, Success: true, Bytes: 7, Duration: time.Second, Remote: "192.0.2.1",
	}
	want := map[string]any{
		"level": "INFO", "msg": "pull", "id": "id", "customer": "Acme", "license": "acme", "app": "app", "action": "blob", "image": "quay.io/team/api",
		"reference": "sha256:00", "status": 200.0, "success": true, "bytes": 7.0, "duration": 1e9, "remote": "192.0.2.1",
	}
	if diff := cmp.Diff(want, line(t, record)); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	// What the vendor has to mend is an error; what a customer has to is none.
	for status, level := range map[int]string{401: "INFO", 403: "INFO", 404: "INFO", 502: "ERROR"} {
		record.Status, record.Success, record.Err = status, false, errors.New("why")
		if got := line(t, record); got["error"] != "why" || got["level"] != level {
			t.Errorf("%d: logged %v", status, got)
		}
	}
}

func line(t *testing.T, r imageproxy.Record) map[string]any {
	t.Helper()
	var log bytes.Buffer
	r.Log(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)))
	got := map[string]any{}
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	return got
}

type counter int

func (c *counter) Pulled(imageproxy.Record) { *c++ }

func TestRecordersAreAllTold(t *testing.T) {
	var one, two counter
	imageproxy.Recorders{&one, &two}.Pulled(imageproxy.Record{})
	if one != 1 || two != 1 {
		t.Errorf("told %d and %d times", one, two)
	}
}
