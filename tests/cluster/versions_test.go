// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// downgradable is kapp-controller's annotation of a PackageInstall that may go back to an older version.
const downgradable = "packaging.carvel.dev/downgradable"

// The package repository is updated, and an installation stays what it is; then it goes to the next version and
// back, by the changes that kctrl and tanzu make to a PackageInstall.
func TestVersionsSideBySide(t *testing.T) {
	u := installFor(t, nil)
	older, newer := here.versions[0], here.versions[1]
	admin := as(t, "admin")
	runs := func(version string) {
		t.Helper()
		eventually(t, time.Minute, version+" serves", func() error {
			if metrics := podMetrics(t, pods(t)[0].ip); !strings.Contains(metrics, `lsp_build_info{version="`+version) {
				return fmt.Errorf("another version does")
			}
			return health(t, admin, 200, "200")
		})
	}
	runs(older)

	step(t, "kctrl package repository update --url …:%s", newer)
	addRepository(t, newer)
	kubectl(t, "get", "package", "-n", installNamespace, packageName+"."+older)

	step(t, "what is installed is reconciled as before")
	since := nextSecond(t)
	applyInstall(t, "local-source-proxy", packageName, older, valuesFor(t, u, values{"proxy_configuration": values{"limits": values{"memory": "110Mi"}}}))
	reconciled(t, "local-source-proxy", older, since)
	runs(older)

	step(t, "kctrl package installed update --version %s", newer)
	choose := func(version string) time.Time {
		t.Helper()
		since := nextSecond(t)
		kubectl(t, "patch", "packageinstall", "-n", installNamespace, "local-source-proxy", "--type=merge",
			"-p", `{"spec":{"packageRef":{"versionSelection":{"constraints":"`+version+`"}}}}`)
		return since
	}
	reconciled(t, "local-source-proxy", newer, choose(newer))
	runs(newer)

	step(t, "and back: first kapp-controller refuses")
	kubectl(t, "annotate", "packageinstall", "-n", installNamespace, "local-source-proxy", downgradable+"-")
	choose(older)
	eventually(t, time.Minute, "kapp-controller says what to do", func() error {
		message := kubectl(t, "get", "packageinstall", "-n", installNamespace, "local-source-proxy", "-o", "jsonpath={.status.usefulErrorMessage}")
		if !strings.Contains(message, "Stopped installing matched version '"+older+"'") || !strings.Contains(message, downgradable) {
			return fmt.Errorf("it says: %s", message)
		}
		return nil
	})
	runs(newer)
	since = nextSecond(t)
	kubectl(t, "annotate", "packageinstall", "-n", installNamespace, "local-source-proxy", downgradable+"=")
	reconciled(t, "local-source-proxy", older, since)
	runs(older)
}
