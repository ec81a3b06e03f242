// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"io"
	"net/http"
)

// Admin serves what is for the operator and his machines alone: /livez, /readyz and /metrics.
//
// Neither probe depends on the upstream: a pod that is not ready turns every answer into the API server's
// 503, also the one that would say what is wrong.
func Admin(ready func() bool, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			say(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		say(w, http.StatusOK, "ok\n")
	})
	mux.Handle("GET /metrics", metrics)
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
