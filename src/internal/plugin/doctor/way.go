// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// wayIn says which way in is used and why, and how the namespaced API is.
func (w *walk) wayIn(ctx context.Context) (diagnosis.Step, error) {
	if w.opts.Via == apiserver.ViaAPI {
		return w.wantedAPI(ctx)
	}
	via, err := w.client.Find(ctx)
	switch {
	case err != nil:
		return diagnosis.Step{Remedy: logIn}, err
	case via == apiserver.ViaAPI:
		return diagnosis.Step{Detail: w.throughAPI(ctx)}, nil
	case w.opts.Via == apiserver.ViaService:
		return diagnosis.Step{Detail: "the Service, by --via service"}, nil
	case w.client.Passed() != "":
		return diagnosis.Step{Detail: "the Service: " + w.client.Passed() + "; " + w.condition(ctx)}, nil
	default:
		return diagnosis.Step{Detail: "the Service: the cluster serves no namespaced API"}, nil
	}
}

// wantedAPI looks whether there is an API where no other way in is wanted.
func (w *walk) wantedAPI(ctx context.Context) (diagnosis.Step, error) {
	served, err := w.client.Served(ctx)
	if _, unusable := errors.AsType[*apiserver.Unusable](err); unusable {
		return diagnosis.Step{Remedy: lookAtPods},
			fmt.Errorf("%w; %s", err, w.condition(ctx))
	}
	switch {
	case err != nil:
		return diagnosis.Step{Remedy: logIn}, err
	case !served:
		return diagnosis.Step{Remedy: "leave --via out, or ask the operator for namespaced_api.enabled"},
			fmt.Errorf("the cluster serves no namespaced API; %s", w.condition(ctx))
	default:
		return diagnosis.Step{Detail: w.throughAPI(ctx) + ", by --via api"}, nil
	}
}

func (w *walk) throughAPI(ctx context.Context) string {
	return "the namespaced API, for namespace " + w.namespace + "; " + w.condition(ctx)
}

// condition is what the cluster says of the namespaced API's registration. Developers may not be allowed to
// read it.
func (w *walk) condition(ctx context.Context) string {
	const name = "APIService " + apiserver.APIService
	raw, err := w.set.Discovery().RESTClient().Get().
		AbsPath("/apis/apiregistration.k8s.io/v1/apiservices/" + apiserver.APIService).DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return "there is no " + name
	case apierrors.IsForbidden(err):
		return "you may not read the " + name
	case err != nil:
		return "the " + name + " cannot be read: " + apiserver.OneLine(err.Error())
	}
	var service struct {
		Status struct {
			Conditions []struct{ Type, Status, Reason, Message string }
		}
	}
	if err := json.Unmarshal(raw, &service); err != nil {
		return "the " + name + " cannot be read: " + err.Error()
	}
	for _, each := range service.Status.Conditions {
		switch {
		case each.Type != "Available":
		case each.Status == "True":
			return "its " + name + " is Available"
		default:
			return apiserver.OneLine(fmt.Sprintf("its %s is not Available: %s: %s", name, each.Reason, each.Message))
		}
	}
	return "its " + name + " has no condition Available yet"
}

// Remedies of several steps.
const (
	logIn      = "log in again; `kubectl auth whoami` shows who you are to the cluster"
	lookAtPods = "ask the operator to look at the Deployment local-source-proxy in " + apiserver.Namespace
)

// verbs are what a push needs of services/proxy and of sources/proxy (spec-local-source-proxy, "The way in").
func verbs() []string { return []string{"get", "create", "update", "patch"} }

// right is what a push needs, and who can give it.
func (w *walk) right(verb string) (right authorizationv1.ResourceAttributes, remedy string) {
	if w.client.Via() == apiserver.ViaAPI {
		return authorizationv1.ResourceAttributes{
			Namespace: w.namespace, Verb: verb,
			Group: apiserver.Group, Resource: apiserver.Resource, Subresource: "proxy", Name: apiserver.SourceName,
		}, apiserver.Grant + "; `" + apiserver.CanI(verb, w.namespace) + "` shows whether it has helped"
	}
	return authorizationv1.ResourceAttributes{
		Namespace: apiserver.Namespace, Verb: verb,
		Resource: "services", Subresource: "proxy", Name: apiserver.ServiceName,
	}, apiserver.NoAccess
}

func (w *walk) rbac(ctx context.Context) (diagnosis.Step, error) {
	var namespace string
	for _, verb := range verbs() {
		right, remedy := w.right(verb)
		namespace = right.Namespace
		asked := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right},
		}
		review, err := w.set.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, asked, metav1.CreateOptions{})
		if err != nil {
			return diagnosis.Step{Remedy: logIn}, err
		}
		if !review.Status.Allowed {
			return diagnosis.Step{Remedy: remedy}, fmt.Errorf("you may not %s %s/proxy %s in namespace %s",
				verb, right.Resource, right.Name, namespace)
		}
	}
	return diagnosis.Step{Detail: "you may " + strings.Join(verbs(), ", ") + " in namespace " + namespace}, nil
}

// service pings the proxy; the API server's 404 says that it finds no Service, or no API.
func (w *walk) service(ctx context.Context) (diagnosis.Step, error) {
	w.ping(ctx)
	seen := apiserver.Namespace + "/" + apiserver.Service
	if w.client.Via() == apiserver.ViaAPI {
		seen = "behind the APIService " + apiserver.APIService
	}
	e, ok := errors.AsType[*apiserver.Error](w.pingErr)
	if ok && e.Origin == apiserver.Cluster && e.Status == http.StatusNotFound {
		return diagnosis.Step{
			Remedy: "ask the operator to install the package local-source-proxy.apps.tanzu.vmware.com, or choose another --context",
		}, w.pingErr
	}
	return diagnosis.Step{Detail: seen}, nil
}

func (w *walk) pod(context.Context) (diagnosis.Step, error) {
	if w.pingErr != nil {
		return diagnosis.Step{Remedy: lookAtPods}, w.pingErr
	}
	return diagnosis.Step{Detail: "answers"}, nil
}
