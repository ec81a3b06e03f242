// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// Health is what the Apps CLI shows of a proxy: the same fields, and messages that begin in the same way, so
// that scripts can read either. It differs in one point: where only the upstream fails, the user has
// permission all the same.
type Health struct {
	UserHasPermission     bool   `json:"user_has_permission"`
	Reachable             bool   `json:"reachable"`
	UpstreamAuthenticated bool   `json:"upstream_authenticated"`
	OverallHealth         bool   `json:"overall_health"`
	Message               string `json:"message"`
}

// The first lines of the messages, as the Apps CLI has them.
const (
	healthy         = "All health checks passed"
	noPermission    = "The current user does not have permission to access the local source proxy."
	notInstalled    = "Local source proxy is not installed on the cluster."
	notReachable    = "Local source proxy cannot be reached."
	notHealthy      = "Local source proxy is not healthy."
	notAuthenticate = "Local source proxy was unable to authenticate against the target registry."
)

// ErrNoHealth says that something answered which is no Local Source Proxy.
var ErrNoHealth = errors.New("the answer to /health is not that of a Local Source Proxy")

// maxHealth bounds the answer to /health, in bytes.
const maxHealth = 64 << 10

// CheckHealth asks the proxy (spec-local-source-proxy, "/health"). An error means that nobody answered who
// could know.
func CheckHealth(ctx context.Context, client *apiserver.Client) (Health, error) {
	status, message, err := askHealth(ctx, client)
	if answer, ok := errors.AsType[*apiserver.Error](err); ok {
		return fromError(answer)
	}
	if err != nil {
		return Health{}, err
	}
	health := Health{UserHasPermission: true, Reachable: true}
	if status == http.StatusOK {
		health.UpstreamAuthenticated, health.OverallHealth, health.Message = true, true, healthy
	} else {
		health.Message = because(notAuthenticate, message)
	}
	return health, nil
}

// askHealth returns what the proxy says of its registry: a status as that of the registry, and a message.
func askHealth(ctx context.Context, client *apiserver.Client) (status int, message string, err error) {
	resp, err := client.Do(ctx, apiserver.Request{Method: http.MethodGet, Target: "/health"})
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return 0, "", fmt.Errorf("read the answer to /health: %w", err)
	}
	var body struct{ Statuscode, Message string }
	if json.Unmarshal(raw, &body) != nil {
		return 0, "", ErrNoHealth
	}
	if status, err = strconv.Atoi(body.Statuscode); err != nil {
		return 0, "", ErrNoHealth
	}
	return status, body.Message, nil
}

// Unreachable is the health of a proxy that did not answer. Whether the user has permission is not known
// then.
func Unreachable(err error) Health { return Health{Message: because(notReachable, err.Error())} }

func fromError(e *apiserver.Error) (Health, error) {
	message := e.Message
	if message == "" {
		message = http.StatusText(e.Status)
	}
	switch {
	case e.Status == http.StatusForbidden:
		return Health{Message: because(noPermission, message+"; "+apiserver.NoAccess)}, nil
	case e.Status == http.StatusUnauthorized:
		return Health{Message: because(noPermission, message)}, nil
	case e.Status == http.StatusNotFound:
		return Health{UserHasPermission: true, Message: because(notInstalled, message)}, nil
	case e.Status == http.StatusServiceUnavailable:
		return Health{UserHasPermission: true, Message: because(notHealthy, message)}, nil
	case e.Status >= http.StatusInternalServerError:
		return Health{UserHasPermission: true, Reachable: true, Message: because(notHealthy, message)}, nil
	default:
		return Health{}, fmt.Errorf("%w: %w", ErrNoHealth, e)
	}
}

// because joins the two parts of a message.
func because(what, why string) string { return what + "\nErrors:\n- " + plain(why) }

// plain undoes the proxy's escaping, which is that of a URL's query.
func plain(message string) string {
	if text, err := url.QueryUnescape(message); err == nil {
		message = text
	}
	return apiserver.OneLine(message)
}
