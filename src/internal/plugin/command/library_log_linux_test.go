// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// testLibraryLog: net/http logs an answer that nobody has asked for, with Go's log. The developer would take it
// for ours.
func testLibraryLog(t *testing.T, binary string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
		_, _ = buffered.WriteString(answer + answer + answer)
		_ = buffered.Flush()
		_, _ = io.Copy(io.Discard, conn)
	}))
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), binary, "health", "--server", server.URL)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	_ = cmd.Run() // nothing that answers like this is the proxy
	if strings.Contains(errOut.String(), "Unsolicited") {
		t.Errorf("stderr: %s", errOut.String())
	}
}
