// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"net/http/pprof"
)

// withProfiles adds the Go runtime's profiles below /debug/pprof/ to a handler. They tell of the process's
// insides, and taking one costs time, so they are on the admin address only, and only when asked for.
func withProfiles(admin http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", admin)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
