// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// one is a storage with the same content under each key, until it is removed.
type one struct{ content []byte }

func (o *one) Open(context.Context, string) (Object, error) {
	if o.content == nil {
		return nil, ErrNotKept
	}
	return readOnly{bytes.NewReader(o.content)}, nil
}

func (*one) Put(context.Context, string, *io.SectionReader) error { return nil }
func (o *one) Remove(context.Context, ...string)                  { o.content = nil }
func (*one) SignedURL(context.Context, string) (string, error)    { return "", ErrNotKept }
func (*one) Dir() string                                          { return "" }
func (*one) Close() error                                         { return nil }
func (*one) CacheAnswered(oci.Kind, Result)                       {}
func (*one) CacheFetched(int)                                     {}
func (*one) CacheSent(int64)                                      {}
func (*one) CacheFailed()                                         {}

type readOnly struct{ *bytes.Reader }

func (readOnly) Close() error   { return nil }
func (readOnly) File() *os.File { return nil }

// FuzzAnswer: whatever a storage has in place of an answer, it becomes an answer that can be sent, or it is removed.
func FuzzAnswer(f *testing.F) {
	for _, stored := range []string{
		`{"at":"2026-01-01T00:00:00Z","header":{"Content-Type":["a"]},"size":2,"body":"e30="}`,
		`{"header":{}}`, `{"header":null}`, `null`, ``, `[]`, `{"size":-9,"header":{"\n":["x\r\ny"]}}`,
	} {
		f.Add([]byte(stored))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		storage := &one{content: append([]byte{}, stored...)}
		c := New(t.Context(), Config{Storage: storage, Observer: storage, Log: slog.New(slog.DiscardHandler)})
		defer c.Close()
		for _, body := range []bool{false, true} {
			a := c.last(t.Context(), "answers/x", body)
			if (a == nil) != (storage.content == nil) {
				t.Fatalf("%q is %+v, and kept: %v", stored, a, storage.content != nil)
			}
			if a == nil {
				continue
			}
			_, _ = a.age(), a.digest()
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				resp := a.response(&http.Request{Method: method}, a.Body)
				if content, err := io.ReadAll(resp.Body); err != nil || method == http.MethodGet && !bytes.Equal(content, a.Body) {
					t.Errorf("%s: %d bytes, %v", method, len(content), err)
				}
			}
		}
	})
}
