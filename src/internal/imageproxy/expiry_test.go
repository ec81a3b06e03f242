// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// TestTheEndOfADownload moves with that of its license.
func TestTheEndOfADownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := catalog.NewStore()
		from, registries := reference{app: "app", host: "quay.io", path: "team/api"}, []*catalog.Registry{{Name: "quay", Hostname: "quay.io"}}
		expires := func(in time.Duration) {
			store.Replace(catalog.New([]*catalog.Credential{{License: &catalog.License{App: "app", Expires: time.Now().Add(in)}}}, registries))
		}
		expires(2 * time.Hour)
		all := newDownloads(store)
		defer all.close()
		ctx, end := context.WithCancelCause(t.Context())
		defer end(nil)
		one := &download{end: end, from: from}
		all.watch(one)
		expires(time.Hour) // sooner
		expires(3 * time.Hour)
		time.Sleep(3*time.Hour - time.Nanosecond)
		synctest.Wait()
		if one.ended.Load() != nil {
			t.Error("it ended before its license")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if ended := one.ended.Load(); ended == nil || !errors.Is(context.Cause(ctx), ended.answer) {
			t.Errorf("it did not end with its license: %v, %v", ended, context.Cause(ctx))
		}
		// One that is over is left alone.
		finished := &download{end: end, from: from}
		expires(time.Hour)
		all.watch(finished)
		all.forget(finished)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if finished.ended.Load() != nil || len(all.open) != 1 {
			t.Errorf("%d are open, and one that was over ended", len(all.open))
		}
	})
}

// TestALicenseThatEndsBeforeItsDownloadIsWatched ends it at once.
func TestALicenseThatEndsBeforeItsDownloadIsWatched(t *testing.T) {
	all := newDownloads(catalog.NewStore())
	defer all.close()
	ctx, end := context.WithCancelCause(t.Context())
	defer end(nil)
	all.watch(&download{end: end})
	if ctx.Err() == nil {
		t.Error("a download without a license goes on")
	}
}
