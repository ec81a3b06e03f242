// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Via is a way in: how requests reach the proxy.
type Via string

const (
	// ViaAuto takes the namespaced API where the cluster has one, and the Service elsewhere.
	ViaAuto Via = "auto"
	// ViaAPI is the namespaced API, behind the API server's aggregation layer.
	ViaAPI Via = "api"
	// ViaService is the API server's service proxy.
	ViaService Via = "service"
	// ViaServer is straight to the proxy, without an API server.
	ViaServer Via = "server"
)

// Group, Version, Resource and SourceName are those of the namespaced API; APIService registers it.
// (spec-local-source-proxy, "The namespaced way in")
const (
	Group      = "localsource.apps.tanzu.vmware.com"
	Version    = "v1alpha1"
	Resource   = "sources"
	SourceName = "source"
	APIService = Version + "." + Group
)

// Grant is who gives the right to push for a namespace, and how.
const Grant = "whoever administers the namespace can bind the ClusterRole local-source-proxy-push, " +
	"which edit and admin contain"

// discoveryPath has the resources of the namespaced API, for everybody who is logged in.
const discoveryPath = "/apis/" + Group + "/" + Version

// findTimeout is how long the API server may take to say whether there is a namespaced API. It asks a pod of
// the API, which may not answer.
const findTimeout = 10 * time.Second

// Options say which way in to take.
type Options struct {
	// Via is ViaAuto when empty.
	Via Via
	// Namespace is whom a push through the namespaced API is for.
	Namespace string
	// Notify hears in one line that the Service works where the namespaced API does not; may be nil.
	Notify func(line string)
}

// way is a way in that was found.
type way struct {
	via Via
	// path is the proxy's root below that of the API server, and base the whole address.
	path string
	base *url.URL
	// namespace that the path is for, if it is for one.
	namespace string
	// passed says why the namespaced API was passed over, where there seems to be one; told once it has been.
	passed string
	told   sync.Once
}

// apiPath is the proxy's root for a namespace, below that of the API server. The API server reads who may do
// what, and where, out of this path: nothing but a namespace's name may get into it.
func apiPath(namespace string) (string, error) {
	if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
		return "", fmt.Errorf(
			"namespace %q: no namespace can have this name; choose another with --namespace", namespace)
	}
	return discoveryPath + "/namespaces/" + namespace + "/" + Resource + "/" + SourceName + "/proxy", nil
}

func (c *Client) newWay(via Via, path, namespace, passed string) *way {
	base := *c.root
	base.Path += path
	return &way{via: via, path: path, base: &base, namespace: namespace, passed: passed}
}

// Find returns the way in. With ViaAuto the first call asks the API server; [Client.Do] makes it where nobody
// did. An error leaves the question open.
func (c *Client) Find(ctx context.Context) (Via, error) {
	w, err := c.find(ctx)
	if err != nil {
		return "", err
	}
	return w.via, nil
}

func (c *Client) find(ctx context.Context) (*way, error) {
	if w := c.way.Load(); w != nil {
		return w, nil
	}
	c.finding.Lock()
	defer c.finding.Unlock()
	if w := c.way.Load(); w != nil {
		return w, nil
	}
	served, err := c.Served(ctx)
	unusable, passed := errors.AsType[*Unusable](err)
	var w *way
	switch {
	case served:
		w = c.newWay(ViaAPI, c.api, c.opts.Namespace, "")
	case passed:
		w = c.newWay(ViaService, servicePath, "", unusable.Error())
	case err != nil:
		return nil, err
	default:
		w = c.newWay(ViaService, servicePath, "", "")
	}
	c.way.Store(w)
	return w, nil
}

// learn draws from the first answers whether it was right to pass the namespaced API over. Where there is no
// Service either, the API may be back at the next try.
func (c *Client) learn(w *way, err error) {
	if w.passed == "" {
		return
	}
	answer, failed := errors.AsType[*Error](err)
	switch {
	case err == nil, failed && answer.Origin == Proxy:
		w.told.Do(func() {
			if c.opts.Notify != nil {
				c.opts.Notify(w.passed + "; going through the Service instead")
			}
		})
	case failed && answer.nowhere():
		c.way.CompareAndSwap(w, nil)
	}
}

// Unusable says why the namespaced API does not work, or why it is not known whether there is one.
type Unusable struct{ text string }

func (u *Unusable) Error() string { return u.text }

// Served asks the API server whether it serves the namespaced API. The error is an [*Unusable] where the
// Service may still work. Any other would be the Service's as well.
func (c *Client) Served(ctx context.Context) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	root := c.newWay(ViaAuto, "", "", "")
	resp, err := c.send(limited, root, Request{Method: http.MethodGet, Target: discoveryPath})
	if err != nil {
		return false, unserved(err, errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return false, c.connectionError(err)
	}
	// A box in front of an API server may answer 200 to anything: only the API server's own words count.
	var list struct {
		GroupVersion string
		Resources    []struct{ Name string }
	}
	if json.Unmarshal(raw, &list) != nil || list.GroupVersion != Group+"/"+Version {
		return false, nil
	}
	return slices.ContainsFunc(list.Resources, func(r struct{ Name string }) bool {
		return r.Name == Resource+"/proxy"
	}), nil
}

// unserved is what an error in place of the API's resources means. A credential that is not accepted and a
// redirect would be the Service's answer as well.
func unserved(err error, silent bool) error {
	const remedy = "; the operator can look at the APIService " + APIService
	answer, ok := errors.AsType[*Error](err)
	switch {
	case silent:
		return &Unusable{"the namespaced API does not answer in time" + remedy}
	case !ok, answer.Status/100 == 3, answer.Status == http.StatusUnauthorized && answer.Origin != Proxy:
		return err
	case answer.Status == http.StatusNotFound:
		return nil
	case answer.Status == http.StatusForbidden:
		return &Unusable{
			"you may not see whether there is a namespaced API (--via api takes it unseen): " + answer.text(),
		}
	default:
		return &Unusable{
			fmt.Sprintf("the namespaced API does not work: %d: %s%s", answer.Status, answer.text(), remedy),
		}
	}
}

// Via is the way in that was found; empty before the first answer.
func (c *Client) Via() Via {
	if w := c.way.Load(); w != nil {
		return w.via
	}
	return ""
}

// Passed says why the namespaced API was passed over, where there seems to be one; empty otherwise.
func (c *Client) Passed() string {
	if w := c.way.Load(); w != nil {
		return w.passed
	}
	return ""
}

// Namespace is the one that requests are for; empty where they are for none.
func (c *Client) Namespace() string {
	if w := c.way.Load(); w != nil {
		return w.namespace
	}
	return ""
}

// Base is the address that stands for the proxy's root, once the way in is found. It holds no credential.
func (c *Client) Base() *url.URL {
	if w := c.way.Load(); w != nil {
		u := *w.base
		return &u
	}
	return &url.URL{}
}

// Locate turns the Location of an answer into a Target.
func (c *Client) Locate(resp *http.Response) (string, error) {
	location, err := resp.Location()
	if err != nil {
		return "", errors.New("the answer has no usable Location")
	}
	target, ok := c.Target(location)
	if !ok {
		return "", errors.New("the answer's Location is not below /v2/")
	}
	return target, nil
}

// Target is the part of an address from "/v2/" on, which is the proxy's. Whatever host or prefix comes before
// is not: the API server adds its own (quirks K1, K8), boxes in front of it add others or forget one (quirk
// K6). The prefix may have a "/v2/" too: it can be the name of a namespace.
func (c *Client) Target(u *url.URL) (string, bool) {
	w := c.way.Load()
	if w == nil {
		return "", false
	}
	path := u.EscapedPath()
	if rest, ok := strings.CutPrefix(path, w.base.EscapedPath()); ok && strings.HasPrefix(rest, "/v2/") {
		path = rest
	} else if _, rest, ok := strings.Cut(path, w.path); ok && strings.HasPrefix(rest, "/v2/") {
		path = rest
	} else if i := strings.Index(path, "/v2/"); i >= 0 {
		path = path[i:]
	} else {
		return "", false
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path, true
}
