// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// shown shows a line for each request at its end: method, path, status. One that breaks off says so.
func shown(show func(line string), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		result := "broken off"
		defer func() { show(fmt.Sprintf("%s %s %s", r.Method, shortPath(r.URL.Path), result)) }()
		next.ServeHTTP(seen, r)
		result = fmt.Sprint(seen.status)
	})
}

// shortPath leaves out the session of an upload, which lets its bearer continue it, and most of a digest.
func shortPath(path string) string {
	if before, _, ok := strings.Cut(path, "/blobs/uploads/"); ok {
		path = before + "/blobs/uploads/"
	}
	path = regexp.MustCompile(`(sha256:[0-9a-f]{12})[0-9a-f]+`).ReplaceAllString(path, "$1")
	return apiserver.OneLine(path)
}

// statusWriter notes the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter]. What comes before the final status, such as 100, does not
// count.
func (s *statusWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] find what is beneath.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
