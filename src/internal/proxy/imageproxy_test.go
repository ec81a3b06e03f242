// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver/metrics"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// TestNobodyIsAStrangerBeforeTheObjectsAreRead.
func TestNobodyIsAStrangerBeforeTheObjectsAreRead(t *testing.T) {
	loaded := make(chan struct{})
	handle := once(loaded, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	answer := httptest.NewRecorder()
	err := handle(answer, httptest.NewRequest(http.MethodGet, "/v2/", nil))
	if e := oci.ErrorFrom(err); e.Status() != http.StatusServiceUnavailable || e.Code != oci.Unavailable || e.Header.Get("Retry-After") == "" {
		t.Errorf("before: %v", err)
	}
	close(loaded)
	if err := handle(answer, httptest.NewRequest(http.MethodGet, "/v2/", nil)); err != nil || answer.Code != http.StatusTeapot {
		t.Errorf("after: %d, %v", answer.Code, err)
	}
}

// hanging is an API server that does not answer.
type hanging struct{ kube.Secrets }

func (hanging) Get(ctx context.Context, _ string, _ metav1.GetOptions) (*corev1.Secret, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestAStartCanBeGivenUp while the API server does not answer.
func TestAStartCanBeGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		opened := make(chan error)
		go func() {
			p, err := openImagesOf(ctx, &kube.Client{Secrets: hanging{}}, Config{Logger: slog.New(slog.DiscardHandler)}, metrics.New("", metrics.Options{}))
			opened <- errors.Join(err, p.close())
		}()
		synctest.Wait()
		stop()
		if err := <-opened; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// TestOneRegistryLeavesPlacesToOthers, however few there are.
func TestOneRegistryLeavesPlacesToOthers(t *testing.T) {
	for places, want := range map[int]int{1024: 256, 147: 110, 8: 6} {
		if got := waitingForOne(httpserver.Capacity{Transfers: places}); got != want {
			t.Errorf("%d of %d places, want %d", got, places, want)
		}
	}
}
