// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// TestWhatIsGoneIsWithdrawn after a minute, not before, and not when it comes back meanwhile.
func TestWhatIsGoneIsWithdrawn(t *testing.T) {
	missing := fmt.Errorf("the Secret push: %w", fs.ErrNotExist)
	for name, update := range map[string]func(*bench, string, error){
		"values": func(b *bench, text string, err error) { b.UpdateValues(place, []byte(text), err) },
		"docker config": func(b *bench, text string, err error) {
			if text != "" {
				text = "{}"
			}
			b.UpdateDockerConfig("Secret push", []byte(text), err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(settings.LiveConfig{})
				b.values("repository: r.io/a")
				b.docker("{}")
				usable := func(want bool) {
					t.Helper()
					synctest.Wait()
					if problem := b.Current().Problem(); (problem == nil) != want {
						t.Errorf("after %s the problem is %v", time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), problem)
					}
				}
				update(b, "", missing)
				time.Sleep(filewatch.Grace - time.Second)
				usable(true)
				update(b, "repository: r.io/a", nil) // deleted and created
				time.Sleep(2 * filewatch.Grace)
				usable(true)
				update(b, "", errors.New("the API server is away"))
				time.Sleep(2 * filewatch.Grace)
				usable(true)
				update(b, "", missing)
				update(b, "", missing) // told again: the minute is the first one's
				time.Sleep(filewatch.Grace + time.Second)
				usable(false)
				if log := b.log.String(); strings.Count(log, "settings withdrawn") != 1 || !strings.Contains(log, "the Secret push") {
					t.Errorf("logged %s", log)
				}
				update(b, "repository: r.io/a", nil)
				usable(true)
			})
		})
	}
}
