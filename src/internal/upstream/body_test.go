// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

func request(t *testing.T, content io.ReadCloser) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://registry.test/", content)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestAnUntouchedBodyIsRepeated(t *testing.T) {
	first := request(t, upstream.NewBody(strings.NewReader("layer")))
	second, ok := upstream.RepeatBody(first)
	if !ok {
		t.Fatal("an untouched body was not repeated")
	}
	if _, err := first.Body.Read(make([]byte, 1)); !errors.Is(err, upstream.ErrBodyRepeated) {
		t.Errorf("the earlier attempt read with error %v, want %v", err, upstream.ErrBodyRepeated)
	}
	got, err := io.ReadAll(second.Body)
	if err != nil || string(got) != "layer" {
		t.Errorf("the second attempt read %q, %v", got, err)
	}
}

func TestABodyThatHasBegunIsNotRepeated(t *testing.T) {
	first := request(t, upstream.NewBody(strings.NewReader("layer")))
	if _, err := first.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, ok := upstream.RepeatBody(first); ok {
		t.Error("a body that has begun was repeated")
	}
	if err := first.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := upstream.RepeatBody(first); ok {
		t.Error("a body that has begun was repeated once it was closed")
	}
}

func TestABodyThatWasClosedUnreadIsRepeated(t *testing.T) {
	first := request(t, upstream.NewBody(strings.NewReader("layer")))
	if err := first.Body.Close(); err != nil {
		t.Fatal(err)
	}
	second, ok := upstream.RepeatBody(first)
	if !ok {
		t.Fatal("net/http closes the body of a refused request: it must be repeated")
	}
	if got, err := io.ReadAll(second.Body); err != nil || string(got) != "layer" {
		t.Errorf("the second attempt read %q, %v", got, err)
	}
}

// TestABodyThatALaterAttemptBeganIsNotRepeated: attempts nest, so that the one who asks may hold the body from
// long before.
func TestABodyThatALaterAttemptBeganIsNotRepeated(t *testing.T) {
	first := request(t, upstream.NewBody(strings.NewReader("layer")))
	second, ok := upstream.RepeatBody(first)
	if !ok {
		t.Fatal("an untouched body was not repeated")
	}
	if _, err := second.Body.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if third, ok := upstream.RepeatBody(first); ok {
		rest, _ := io.ReadAll(third.Body)
		t.Errorf("a body that has begun was repeated, from the middle: %q", rest)
	}
}

func TestOtherBodies(t *testing.T) {
	if _, ok := upstream.RepeatBody(request(t, nil)); !ok {
		t.Error("a request without a body can always be made again")
	}
	if _, ok := upstream.RepeatBody(request(t, io.NopCloser(strings.NewReader("x")))); ok {
		t.Error("a plain body cannot be repeated")
	}
}

// TestOneWinner lets a reader and a recall race: either the reader got bytes and the body is not repeated,
// or the other way round, never both.
func TestOneWinner(t *testing.T) {
	for range 200 {
		first := request(t, upstream.NewBody(strings.NewReader("layer")))
		read := make(chan bool)
		go func() {
			n, _ := first.Body.Read(make([]byte, 8))
			read <- n > 0
		}()
		_, again := upstream.RepeatBody(first)
		if got := <-read; got == again {
			t.Fatalf("reader got bytes: %v; repeated: %v", got, again)
		}
	}
}

func TestAHeldBodyIsNotReadUnasked(t *testing.T) {
	given := upstream.NewBody(strings.NewReader("layer"))
	body, ok := given.(*upstream.Body)
	if !ok {
		t.Fatal("it is no Body")
	}
	body.Hold()
	closed := make(chan struct{})
	body.Broken(closed)
	close(closed)
	if got, err := io.ReadAll(given); !errors.Is(err, upstream.ErrBodyRepeated) || len(got) > 0 {
		t.Errorf("it read %q, %v", got, err)
	}
	body.Ask()
	body.Broken(nil)
	if got, err := io.ReadAll(given); err != nil || string(got) != "layer" {
		t.Errorf("asked for, it read %q, %v", got, err)
	}
}
