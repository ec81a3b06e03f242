// SPDX-License-Identifier: Apache-2.0

package httpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

type recorder struct {
	started, finished []httpserver.Entry
	before            []bool
}

func (r *recorder) RequestStarted(e *httpserver.Entry) { r.started = append(r.started, *e) }
func (r *recorder) RequestFinished(e *httpserver.Entry, started bool) {
	r.finished, r.before = append(r.finished, *e), append(r.before, started)
}

// serve sends one request to a handler, and returns the answer and the line in the log.
func serve(t *testing.T, rec httpserver.Recorder, handle httpserver.HandlerFunc, r *http.Request) (*http.Response, map[string]any) {
	t.Helper()
	var log bytes.Buffer
	server := httptest.NewServer(httpserver.AccessLog{Side: "source", Logger: slog.New(slog.NewJSONHandler(&log, nil)), Recorder: rec}.Handler(handle))
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", server.Listener.Addr().String(), ""
	resp, err := server.Client().Do(r)
	if err == nil {
		content, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(content))
	}
	server.Close()
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("the log is not one line of JSON: %q", log.String())
	}
	return resp, line
}

func TestOneLineARequest(t *testing.T) {
	rec := &recorder{}
	resp, line := serve(t, rec, func(w http.ResponseWriter, r *http.Request) error {
		httpserver.Started(r.Context(), "manifest-put", "source", "v1")
		httpserver.EntryOf(r.Context()).UpstreamStatus = 201
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, err := io.WriteString(w, "done")
		return err
	}, httptest.NewRequest(http.MethodPut, "/v2/source/manifests/v1?query=secret", strings.NewReader("content")))
	for _, volatile := range []string{"time", "duration", "id", "remote"} {
		if line[volatile] == nil || line[volatile] == "" {
			t.Errorf("the line has no %s", volatile)
		}
	}
	if line["id"] != resp.Header.Get("X-Request-Id") {
		t.Errorf("id %v, and the client was told %s", line["id"], resp.Header.Get("X-Request-Id"))
	}
	for _, volatile := range []string{"time", "duration", "id", "remote"} {
		delete(line, volatile)
	}
	want := map[string]any{
		"level": "INFO", "msg": "request", "door": "source", "operation": "manifest-put", "method": "PUT", "name": "source", "reference": "v1",
		"status": 201.0, "upstream_status": 201.0, "bytes_in": 7.0, "bytes_out": 4.0,
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	if len(rec.started) != 1 || len(rec.finished) != 1 || !rec.before[0] || rec.finished[0].In != 7 || rec.finished[0].Status != 201 {
		t.Errorf("recorded %+v, %+v", rec.started, rec.finished)
	}
}

func TestErrorsAreAnsweredOnce(t *testing.T) {
	for name, test := range map[string]struct {
		handle httpserver.HandlerFunc
		status int
		code   oci.Code
		level  string
	}{
		"an error with a code": {func(http.ResponseWriter, *http.Request) error {
			return fmt.Errorf("look: %w", oci.Errorf(oci.NameUnknown, "no such name").Because(errors.New("inner cause")))
		}, 404, oci.NameUnknown, "INFO"},
		"any other error": {func(http.ResponseWriter, *http.Request) error { return errors.New("inner cause") }, 500, oci.Unknown, "ERROR"},
		"a panic":         {func(http.ResponseWriter, *http.Request) error { panic("inner cause") }, 500, oci.Unknown, "ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, line := serve(t, nil, test.handle, httptest.NewRequest(http.MethodGet, "/", nil))
			if resp == nil {
				t.Fatal("no answer")
			}
			content, _ := io.ReadAll(resp.Body)
			var body oci.ErrorBody
			if err := json.Unmarshal(content, &body); err != nil || resp.StatusCode != test.status || body.Errors[0].Code != test.code || strings.Contains(string(content), "inner cause") {
				t.Errorf("answered %d %s", resp.StatusCode, content)
			}
			if said, _ := line["error"].(string); !strings.Contains(said, "inner cause") || line["level"] != test.level {
				t.Errorf("logged %v", line)
			}
		})
	}
}

// TestAnAnswerThatBreaksOff is logged as what it is.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	_, line := serve(t, nil, func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	}, httptest.NewRequest(http.MethodGet, "/", nil))
	if said, _ := line["error"].(string); !strings.Contains(said, "broke off") || line["status"] != 200.0 {
		t.Errorf("logged %v", line)
	}
}

func TestAnErrorAfterTheAnswerHasBegunIsOnlyLogged(t *testing.T) {
	resp, line := serve(t, nil, func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "fine")
		return errors.New("too late")
	}, httptest.NewRequest(http.MethodGet, "/", nil))
	if content, _ := io.ReadAll(resp.Body); string(content) != "fine" || line["error"] != "too late" {
		t.Errorf("answered %q, logged %v", content, line)
	}
}

// TestStamps are on every answer, whatever becomes of other headers, and nothing replaces them.
// TestNothingIsSniffed: no browser may take an answer for something else than it says it is.
func TestNothingIsSniffed(t *testing.T) {
	for name, handle := range map[string]httpserver.HandlerFunc{
		"an answer": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(200); return nil },
		"an error":  func(http.ResponseWriter, *http.Request) error { return errors.New("x") },
	} {
		resp, _ := serve(t, nil, handle, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := resp.Header.Values("X-Content-Type-Options"); len(got) != 1 || got[0] != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options is %q", name, got)
		}
	}
}

// TestUnknownMethodsAreNotLogged: a method is any word that a client likes, as long as it likes.
func TestUnknownMethodsAreNotLogged(t *testing.T) {
	for method, logged := range map[string]string{
		"GET": "GET", "OPTIONS": "OPTIONS", "get": "other", "PROPFIND": "other", strings.Repeat("A", 2000): "other",
	} {
		_, line := serve(t, nil, func(http.ResponseWriter, *http.Request) error { return errors.New("x") },
			httptest.NewRequest(method, "/", nil))
		if line["method"] != logged {
			t.Errorf("%.20s is logged as %v, want %s", method, line["method"], logged)
		}
	}
}

func TestStamps(t *testing.T) {
	for name, handle := range map[string]httpserver.HandlerFunc{
		"an answer": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(204); return nil },
		"only a body": func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, "x")
			return err
		},
		"an error": func(http.ResponseWriter, *http.Request) error { return errors.New("x") },
		"after interim answers": func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Link", "</early>")
			w.WriteHeader(http.StatusEarlyHints)
			clear(w.Header())
			w.WriteHeader(200)
			return nil
		},
		"over another's": func(w http.ResponseWriter, _ *http.Request) error {
			w.Header()["Stamp"] = []string{"forged", "forged"}
			w.WriteHeader(200)
			return nil
		},
	} {
		resp, _ := serve(t, nil, func(w http.ResponseWriter, r *http.Request) error {
			httpserver.Stamp(w, "Stamp", "real")
			return handle(w, r)
		}, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := resp.Header.Values("Stamp"); len(got) != 1 || got[0] != "real" {
			t.Errorf("%s: stamped %q", name, got)
		}
	}
	plain := httptest.NewRecorder()
	httpserver.Stamp(plain, "Stamp", "real")
	if plain.Header().Get("Stamp") != "real" {
		t.Error("a writer of another kind got no stamp")
	}
}

func TestRemote(t *testing.T) {
	for forwarded, want := range map[string]string{"": "127.0.0.1", "192.0.2.7": "192.0.2.7, 127.0.0.1", strings.Repeat("x", 300): "127.0.0.1"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Forwarded-For", forwarded)
		if _, line := serve(t, nil, func(http.ResponseWriter, *http.Request) error { return nil }, r); line["remote"] != want {
			t.Errorf("%.10q: logged %v, want %s", forwarded, line["remote"], want)
		}
	}
}

func TestBodyErr(t *testing.T) {
	for name, test := range map[string]struct {
		content io.Reader
		failed  bool
	}{"whole": {strings.NewReader("whole"), false}, "broken": {io.MultiReader(strings.NewReader("half"), broken{}), true}} {
		rec := &recorder{}
		handler := httpserver.AccessLog{Logger: slog.New(slog.DiscardHandler), Recorder: rec}.Handler(func(_ http.ResponseWriter, r *http.Request) error {
			_, _ = io.Copy(io.Discard, r.Body)
			e := httpserver.EntryOf(r.Context())
			if (e.BodyErr() != nil) != test.failed || e.Received() == 0 {
				t.Errorf("%s: %v after %d bytes", name, e.BodyErr(), e.Received())
			}
			return nil
		})
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/", test.content))
		if rec.before[0] {
			t.Errorf("%s: recorded as started, which nobody said", name)
		}
	}
	if e := httpserver.EntryOf(t.Context()); e.Received() != 0 || e.BodyErr() != nil {
		t.Error("a request from elsewhere has a body")
	}
	httpserver.Started(t.Context(), "x", "y", "z")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestADoorsOwnReport takes the place of the general line, and comes once all is known.
func TestADoorsOwnReport(t *testing.T) {
	var log bytes.Buffer
	var got httpserver.Entry
	handler := httpserver.AccessLog{Logger: slog.New(slog.NewJSONHandler(&log, nil))}.Handler(func(w http.ResponseWriter, r *http.Request) error {
		httpserver.EntryOf(r.Context()).Report = func(_ context.Context, e *httpserver.Entry) { got = *e }
		return oci.Errorf(oci.Denied, "no")
	})
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if got.Status != http.StatusForbidden || got.Out == 0 || got.Err == nil || got.ID == "" || log.Len() != 0 {
		t.Errorf("reported %+v, and logged %s", got, log.String())
	}
}
