// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// Obstacle is why no push can succeed, as the proxy knows it, and what to do about it.
type Obstacle struct {
	Cause, Remedy string
	// Lasting says that it takes somebody to do something. Otherwise the registry may be back in a moment.
	Lasting bool
}

func (o *Obstacle) Error() string { return o.Cause + "; " + o.Remedy }

// The remedies of what only the operator can mend.
const (
	checkSecret   = "ask the operator to check push_secret and repository; "
	checkRegistry = "ask the operator whether the registry runs; "
	checkValues   = "ask the operator to check the package's values, repository above all"
)

// What names the step, as it can be typed: the image has no shell, and in a pod check finds what the server was
// given. Without an API server the proxy may run anywhere.
const (
	checkHere  = "`local-source-proxy check`, with the settings of serve, names the step"
	checkInPod = "`kubectl exec -n " + apiserver.Namespace + " deploy/local-source-proxy -- /ko-app/local-source-proxy check` names the step"
)

func checkCommand(client *apiserver.Client) string {
	if client.Via() == apiserver.ViaServer {
		return checkHere
	}
	return checkInPod
}

// Ready asks the proxy whether the registry behind it takes a push, and returns an [*Obstacle] when it does
// not. Where the proxy cannot say, there is no error: then the push itself finds out.
func Ready(ctx context.Context, client *apiserver.Client) (Report, error) {
	report, err := askHealth(ctx, client)
	if answer, ok := errors.AsType[*apiserver.Error](err); ok {
		if answer.Status == http.StatusInternalServerError && answer.Origin != apiserver.Cluster && answer.Message != "" {
			return report, &Obstacle{Cause: plain(answer.Message), Remedy: checkValues, Lasting: true}
		}
		return report, nil
	}
	if err != nil || report.Status == http.StatusOK {
		return report, nil //nolint:nilerr // an answer that is no verdict
	}
	return report, obstacle(report.Status, report.Message, checkCommand(client))
}

// obstacle is what another status than 200 means; check is the command that tells more. Its message names no address.
func obstacle(status int, message, check string) *Obstacle {
	message = cmp.Or(plain(message), http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &Obstacle{
			Cause: "the registry does not let the proxy push: " + message, Remedy: checkSecret + check, Lasting: true,
		}
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return &Obstacle{Cause: "the registry does not work for the proxy: " + message, Remedy: checkRegistry + check}
	default:
		return &Obstacle{Cause: "the registry refuses the proxy's push: " + message, Remedy: checkSecret + check,
			Lasting: true}
	}
}
