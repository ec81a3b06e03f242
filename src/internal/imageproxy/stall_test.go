// SPDX-License-Identifier: Apache-2.0

package imageproxy_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestNobodyHoldsAConnectionByABodyThatDoesNotCome, with a license or without: the listener has only so many.
func TestNobodyHoldsAConnectionByABodyThatDoesNotCome(t *testing.T) {
	w := newWorld(t, config{})
	c := w.licensed("app")
	shown := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+c.id)) + "\r\n"
	// A registry that reads what it is sent before it answers.
	w.quay.When("GET", "/v2/team/").Do(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		next.ServeHTTP(out, r)
	})
	for name, test := range map[string]struct {
		request, headers string
		status           int
	}{
		"a form":               {"POST /v2/token", "Content-Type: application/x-www-form-urlencoded\r\n", 413},
		"a token":              {"GET /v2/token", shown, 200},
		"a token, no license":  {"GET /v2/token", "", 401},
		"a greeting":           {"GET /v2/", shown, 200},
		"a stranger":           {"GET /v2/", "", 401},
		"an upload":            {"POST " + image + "/blobs/uploads/", "", 405},
		"a manifest":           {"GET " + image + "/manifests/v1", shown, 200},
		"a download":           {"GET " + image + "/blobs/" + w.blob, shown, 200},
		"a path that is none":  {"PUT /nothing", "", 404},
		"another's repository": {"GET /v2/proxy/other/quay.io/team/api/manifests/v1", shown, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 100\r\n\r\n", test.request, test.headers)
			answer := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answer, nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != test.status {
				t.Errorf("answered %d, %v; want %d", resp.StatusCode, err, test.status)
			}
			if _, err := answer.ReadByte(); err != io.EOF {
				t.Errorf("the connection is not closed: %v", err)
			}
		})
	}
}
