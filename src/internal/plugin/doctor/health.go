// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
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

// Health is what the Apps CLI shows of a proxy: the same five fields, and messages that begin in the same way,
// so that scripts can read either. It differs in one point: where only the upstream fails, the user has
// permission all the same. What is below the message is ours: who pushes, how, and to where, as far as it is
// known.
type Health struct {
	UserHasPermission     bool   `json:"user_has_permission"`
	Reachable             bool   `json:"reachable"`
	UpstreamAuthenticated bool   `json:"upstream_authenticated"`
	OverallHealth         bool   `json:"overall_health"`
	Message               string `json:"message"`

	Via       apiserver.Via `json:"via,omitempty"`
	Namespace string        `json:"namespace,omitempty"`
	User      string        `json:"user,omitempty"`
	// Target is where pushes arrive, as an image reference without a tag.
	Target  string `json:"target,omitempty"`
	Tenancy string `json:"tenancy,omitempty"`
}

// TenancyTags is the tenancy of namespaces that push to one repository, each to tags of its own.
const TenancyTags = "tags"

// Report is what the proxy says at /health: of its registry, and through the namespaced API, of who asks.
type Report struct {
	// Status is as that of the registry.
	Status  int
	Message string
	// Target is the upstream repository. User, Namespace and Tenancy are empty behind the Service, where
	// nobody knows them.
	Target, User, Namespace, Tenancy string
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
	report, err := askHealth(ctx, client)
	health := Health{
		Via: client.Via(), Namespace: cmp.Or(report.Namespace, client.Namespace()),
		User: report.User, Target: report.Target, Tenancy: report.Tenancy,
	}
	if answer, ok := errors.AsType[*apiserver.Error](err); ok {
		return health.failed(answer)
	}
	if err != nil {
		return Health{}, err
	}
	health.UserHasPermission, health.Reachable = true, true
	if report.Status == http.StatusOK {
		health.UpstreamAuthenticated, health.OverallHealth, health.Message = true, true, healthy
	} else {
		health.Message = because(notAuthenticate, report.Message)
	}
	return health, nil
}

func askHealth(ctx context.Context, client *apiserver.Client) (Report, error) {
	resp, err := client.Do(ctx, apiserver.Request{Method: http.MethodGet, Target: "/health"})
	if err != nil {
		return Report{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return Report{}, fmt.Errorf("read the answer to /health: %w", err)
	}
	var body struct{ Statuscode, Message, User, Namespace, Tenancy string }
	if json.Unmarshal(raw, &body) != nil {
		return Report{}, ErrNoHealth
	}
	status, err := strconv.Atoi(body.Statuscode)
	if err != nil {
		return Report{}, ErrNoHealth
	}
	return Report{
		Status: status, Message: body.Message, Target: resp.Header.Get(apiserver.RegistryPathHeader),
		User: body.User, Namespace: body.Namespace, Tenancy: body.Tenancy,
	}, nil
}

// Unreachable is the health of a proxy that did not answer. Whether the user has permission is not known
// then.
func Unreachable(err error) Health { return Health{Message: because(notReachable, err.Error())} }

// failed is the health that an answer of 400 or more means.
func (h Health) failed(e *apiserver.Error) (Health, error) {
	message := e.Message
	switch {
	case e.Namespace != "" && e.Origin != apiserver.Proxy:
		message = e.Error() // with the right that is missing
	case message == "":
		message = http.StatusText(e.Status)
	}
	switch {
	case e.Status == http.StatusForbidden:
		h.Message = because(noPermission, message+"; "+apiserver.NoAccess)
		return h, nil
	case e.Status == http.StatusUnauthorized:
		h.Message = because(noPermission, message)
		return h, nil
	case e.Status == http.StatusNotFound:
		h.UserHasPermission, h.Message = true, because(notInstalled, message)
		return h, nil
	case e.Status == http.StatusServiceUnavailable:
		h.UserHasPermission, h.Message = true, because(notHealthy, message)
		return h, nil
	case e.Status >= http.StatusInternalServerError:
		h.UserHasPermission, h.Reachable, h.Message = true, true, because(notHealthy, message)
		return h, nil
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
