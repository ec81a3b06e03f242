// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	e := oci.Errorf(oci.Unsupported, "no %q here", "DELETE").With("Allow", "GET")
	if err := oci.WriteError(w, e); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	if got, want := w.Body.String(), `{"errors":[{"code":"UNSUPPORTED","message":"no \"DELETE\" here"}]}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}
}

func TestCausesAreForTheLogAlone(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1:5000: refused")
	for name, err := range map[string]error{
		"because":         fmt.Errorf("forward: %w", oci.Errorf(oci.Unavailable, "the registry cannot be reached").Because(cause)),
		"any other error": fmt.Errorf("forward: %w", cause),
	} {
		e := oci.ErrorFrom(err)
		if strings.Contains(e.Message, "10.0.0.1") {
			t.Errorf("%s: the client is told %q", name, e.Message)
		}
		if !strings.Contains(e.Error(), "10.0.0.1") || !errors.Is(e, cause) {
			t.Errorf("%s: the log is not told the cause: %v", name, e)
		}
	}
}

func TestModifyingACopy(t *testing.T) {
	first := oci.Errorf(oci.Denied, "no")
	second := first.With("Retry-After", "1").Because(errors.New("cause"))
	if first.Header != nil || first.Unwrap() != nil || second.With("Allow", "GET").Header.Get("Retry-After") != "1" || second.Header.Get("Allow") != "" {
		t.Error("an error that is shared was changed")
	}
}

func TestStatus(t *testing.T) {
	for status := 400; status < 600; status++ {
		if code := oci.CodeForStatus(status); code.Status() < 400 {
			t.Errorf("status %d: code %s has status %d", status, code, code.Status())
		}
		if got := oci.RelayedError(status, oci.ErrorEntry{Code: oci.CodeForStatus(status)}).Status(); got != status {
			t.Errorf("relayed %d as %d", status, got)
		}
	}
	if got := oci.Code("INVENTED").Status(); got != http.StatusInternalServerError {
		t.Errorf("a code that is not in the table has status %d", got)
	}
}
