// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/frontproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
)

// The delays between attempts to write.
const (
	firstDelay   = time.Second
	longestDelay = 30 * time.Second
)

// keeper acts on what the watches say. All of it but notes belongs to one goroutine, that of run.
type keeper struct {
	*Follower
	cfg Config
	// notes are what the watches say.
	notes chan func()
	// started receives what became of the start, once.
	started chan error

	// secret is nil where there is none; read: that is known.
	secret  *kube.Secret
	read    bool
	service *kube.APIService
	outage  kube.Outage
	delay   time.Duration
	// failed says that the certificate is not kept as it should be, and that this has been told.
	failed bool
}

func (k *keeper) note(ctx context.Context, what func()) {
	select {
	case k.notes <- what:
	case <-ctx.Done():
	}
}

func (k *keeper) run(ctx context.Context) {
	again := time.NewTimer(longestDelay)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case what := <-k.notes:
			what()
		case <-again.C:
		}
		again.Reset(k.act(ctx))
	}
}

// act does what there is to do, and returns when to look again.
func (k *keeper) act(ctx context.Context) time.Duration {
	before := k.current.Load()
	err := errors.Join(k.keepSecret(ctx), k.keepService(ctx))
	// A conflict is another replica that does it.
	failed := err != nil && ctx.Err() == nil && !apierrors.IsConflict(err)
	k.tell(before, failed)
	switch {
	case k.front.Load() != nil && k.current.Load() != nil:
		k.start(nil)
	case apierrors.IsForbidden(err): // waiting does not mend that
		k.start(err)
	}
	switch {
	case err == nil:
		k.outage.Over()
		k.delay = 0
		if held := k.current.Load(); held != nil {
			return time.Until(held.due())
		}
		return longestDelay
	case failed && k.outage.New(err):
		k.cfg.Log.Error("the namespaced API is not kept up, trying again", "problem", err.Error())
	}
	k.delay = min(max(2*k.delay, firstDelay), longestDelay)
	return k.delay
}

// tell says when another certificate came into force, and while the one in force cannot be kept up.
func (k *keeper) tell(before *identity, failed bool) {
	switch {
	case failed && !k.failed:
		k.cfg.Reloaded(Certificate, false)
	case !failed && (k.failed || k.current.Load() != before):
		k.cfg.Reloaded(Certificate, true)
	}
	k.failed = failed
}

// start says what became of the start; later it does nothing.
func (k *keeper) start(err error) {
	select {
	case k.started <- err:
	default:
	}
}

// readFront puts in force how the API server shows itself. What cannot be used changes nothing.
func (k *keeper) readFront(found *corev1.ConfigMap, err error) {
	place := fmt.Sprintf("ConfigMap %s in namespace %s", kube.AuthenticationConfigMap, kube.SystemNamespace)
	if found == nil && err == nil {
		err = fmt.Errorf("%s does not exist: the API server makes it", place)
	}
	if err == nil {
		var next *frontproxy.Verifier
		if next, err = frontproxy.Parse(found.Data); err == nil {
			k.front.Store(next)
		} else {
			err = fmt.Errorf("%s: %w", place, err)
		}
	}
	k.cfg.Reloaded(FrontProxy, err == nil)
	if err == nil {
		return
	}
	k.start(err)
	k.cfg.Log.Error("how the API server shows itself is not reloaded, the last good one stays in use",
		"problem", err.Error())
}

func (k *keeper) readSecret(secret *kube.Secret, err error) {
	if err != nil {
		k.start(err)
		k.cfg.Log.Error("the certificate of the namespaced API is not reloaded, the last good one stays in use",
			"problem", err.Error())
		return
	}
	k.secret, k.read = secret, true
}

func (k *keeper) readService(service *kube.APIService, err error) {
	if err != nil {
		k.cfg.Log.Error("the APIService is not watched", "problem", err.Error())
		return
	}
	k.service = service
}

// keepSecret puts in force what is in the Secret. Where nothing good is, it puts there what is in force, or
// something new.
func (k *keeper) keepSecret(ctx context.Context) error {
	if !k.read {
		return nil
	}
	now := time.Now()
	wrong := errors.New("it was deleted")
	if k.secret != nil {
		var stored *identity
		if stored, wrong = parse(k.secret.Data, k.cfg.Host, now); wrong == nil {
			k.use(stored)
		}
	}
	next := k.current.Load()
	if next == nil || !now.Before(next.due()) {
		made, err := renew(next, k.cfg.Host, now)
		if err != nil {
			return err
		}
		next = made
	} else if wrong == nil {
		return nil
	}
	if err := k.write(ctx, next.data); err != nil {
		return err
	}
	k.cfg.Log.Info("the certificate of the namespaced API is written", "secret", k.cfg.Secret,
		"until", next.serving.Leaf.NotAfter)
	k.use(next)
	return nil
}

func (k *keeper) write(ctx context.Context, data map[string][]byte) error {
	if k.secret != nil {
		return k.cfg.Cluster.UpdateSecret(ctx, k.cfg.Secret, k.secret.Version, data)
	}
	var owner *metav1.OwnerReference
	if k.service != nil {
		owner = k.service.Owner()
	}
	return k.cfg.Cluster.RestoreSecret(ctx, k.cfg.Secret, owner, data)
}

func (k *keeper) use(next *identity) {
	if !next.same(k.current.Load()) {
		k.current.Store(next)
	}
}

// keepService has the API server trust the certificate in force, whatever somebody else has written.
func (k *keeper) keepService(ctx context.Context) error {
	held := k.current.Load()
	if held == nil || k.service == nil || bytes.Equal(k.service.Spec.CABundle, held.bundle()) {
		return nil
	}
	if err := k.cfg.Cluster.SetCABundle(ctx, k.cfg.Name, held.bundle()); err != nil {
		return err
	}
	k.cfg.Log.Info("the API server is told whom to trust", "apiservice", k.cfg.Name)
	written := *k.service
	written.Spec.CABundle = held.bundle()
	k.service = &written
	return nil
}
