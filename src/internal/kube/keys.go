// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
)

const (
	// SessionKeySecret is the Secret with the keys that seal upload sessions.
	SessionKeySecret = "local-source-proxy-session-key"
	// TokenKeySecret is the Secret with the keys that sign the image proxy's tokens.
	TokenKeySecret = "image-proxy-token-key"
	// KeyField is the key in either that holds the key file.
	KeyField = "keys"
)

// Keys returns the key file (package keyfile) of that Secret, which all replicas share. The first replica creates it with a
// random key, or puts one into it where it was made empty; those that come later, or at the same moment, read that one. The content
// is not checked beyond being there.
func (c *Client) Keys(ctx context.Context, name string) ([]byte, error) {
	var err error
	for range 3 { // the Secret can be deleted between the steps, or filled by another replica
		var secret *corev1.Secret
		secret, err = c.Secrets.Create(ctx, newKey(name), metav1.CreateOptions{})
		if err == nil {
			return c.keys(name, secret.Data)
		}
		// Without the right to create, there may still be one that the operator made.
		if err = c.accessError("create", secretKind, name, err); !apierrors.IsAlreadyExists(err) && !apierrors.IsForbidden(err) {
			return nil, err
		}
		secret, getErr := c.filled(ctx, name)
		if getErr == nil {
			return c.keys(name, secret.Data)
		}
		if !apierrors.IsNotFound(getErr) && !apierrors.IsConflict(getErr) {
			return nil, c.accessError("read", secretKind, name, getErr)
		}
	}
	return nil, err
}

// filled reads the Secret, and gives a key to one without. Whoever may change this one need not be able to create others: a Secret
// of the right type and name would be given the token of another ServiceAccount.
func (c *Client) filled(ctx context.Context, name string) (*corev1.Secret, error) {
	found, err := c.Secrets.Get(ctx, name, metav1.GetOptions{})
	if err != nil || hasKeys(found.Data) {
		return found, err
	}
	empty := found.DeepCopy() // its version: a second replica's change is a conflict
	empty.Data = newKey(name).Data
	changed, err := c.Secrets.Update(ctx, empty, metav1.UpdateOptions{})
	if apierrors.IsForbidden(err) {
		return found, nil
	}
	return changed, err
}

func hasKeys(data map[string][]byte) bool { return len(bytes.TrimSpace(data[KeyField])) > 0 }

// WatchKeys calls deliver with the key file, at once and whenever it changes, until ctx ends. A Secret that is deleted or holds
// no keys is logged and changes nothing: what was made with the keys that are in use depends on them.
func (c *Client) WatchKeys(ctx context.Context, name string, deliver func(keyFile []byte)) {
	c.Watch(ctx, name, func(secret *Secret, err error) {
		var keys []byte
		switch {
		case err != nil:
		case secret == nil:
			err = c.accessError("read", secretKind, name, errors.New("it was deleted: the next replica that starts makes a new one"))
		default:
			keys, err = c.keys(name, secret.Data)
		}
		if err != nil {
			c.log().Warn("keys not reloaded, the last good ones stay in use", "error", err)
			return
		}
		deliver(keys)
	})
}

func newKey(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "local-source-proxy"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{KeyField: keyfile.Generate()},
	}
}

func (c *Client) keys(name string, data map[string][]byte) ([]byte, error) {
	if !hasKeys(data) {
		return nil, c.accessError("read", secretKind, name, fmt.Errorf(
			"it has no %q: put one base64 key of %d bytes a line there, or delete the Secret and restart", KeyField, keyfile.Size))
	}
	return data[KeyField], nil
}
