// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"sync"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// TestCallsOfAHandlerDoNotOverlap, whichever goroutines a reflector lists and watches in. The race detector
// tells of two that do.
func TestCallsOfAHandlerDoNotOverlap(t *testing.T) {
	const each = 50
	calls := 0
	call := func() { calls++ }
	w := &collection[v1alpha1.Object]{
		client:    &Client{Namespace: "vendor"},
		resources: custom[v1alpha1.License, v1alpha1.LicenseList]("licenses", nil, nil, "vendor"),
		handler: Handler[v1alpha1.Object]{
			Convert: func(o v1alpha1.Object) v1alpha1.Object { return o },
			Replace: func(map[string]v1alpha1.Object) { call() },
			Set:     func(v1alpha1.Object) { call() },
			Delete:  func(string) { call() },
			Failed:  func(error) { call() },
		},
	}
	var running sync.WaitGroup
	for _, does := range []func(i int) error{
		func(i int) error { w.failed(t.Context(), fmt.Errorf("attempt %d", i)); return nil },
		func(int) error { return w.Replace(nil, "") },
		func(int) error { return w.Add(&v1alpha1.License{}) },
		func(int) error { return w.Delete(&v1alpha1.License{}) },
	} {
		running.Go(func() {
			for i := range each {
				if err := does(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if calls != 4*each {
		t.Errorf("%d calls, want %d", calls, 4*each)
	}
}
