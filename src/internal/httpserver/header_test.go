// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// TestAHeaderThatIsTooLarge is refused in OCI JSON, although no handler sees it.
func TestAHeaderThatIsTooLarge(t *testing.T) {
	g := listen(t, http.NotFoundHandler())
	start(t, g, time.Second)
	for _, size := range []int{80 << 10, 1 << 20} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url(0), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Large", strings.Repeat("x", size))
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		content, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var body oci.ErrorBody
		err = json.Unmarshal(content, &body)
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !resp.Close ||
			resp.Header.Get("Content-Type") != "application/json" || err != nil || len(body.Errors) != 1 || body.Errors[0].Code != oci.HeaderTooLarge {
			t.Errorf("%d bytes: %d %v %s", size, resp.StatusCode, resp.Header, content)
		}
	}
}
