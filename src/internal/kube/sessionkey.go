// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// SessionKeySecret is the Secret with the keys that seal upload sessions.
	SessionKeySecret = "local-source-proxy-session-key"
	// SessionKeyField is the key in it that holds the key file.
	SessionKeyField = "keys"

	sessionKeySize = 32 // bytes
)

// SessionKeys returns the key file that all replicas share: one base64 key of 32 bytes a line, the first seals. The first
// replica creates the Secret with a random key; those that come later, or at the same moment, read that one. The content is
// not checked beyond being there.
func (c *Client) SessionKeys(ctx context.Context) ([]byte, error) {
	var err error
	for range 3 { // the Secret can be deleted between the two steps
		var secret *corev1.Secret
		secret, err = c.Secrets.Create(ctx, newSessionKey(), metav1.CreateOptions{})
		if err == nil {
			return c.sessionKeys(secret.Data)
		}
		// Without the right to create, there may still be one that the operator made.
		if err = c.accessError("create", secretKind, SessionKeySecret, err); !apierrors.IsAlreadyExists(err) && !apierrors.IsForbidden(err) {
			return nil, err
		}
		secret, getErr := c.Secrets.Get(ctx, SessionKeySecret, metav1.GetOptions{})
		if getErr == nil {
			return c.sessionKeys(secret.Data)
		}
		if !apierrors.IsNotFound(getErr) {
			return nil, c.accessError("read", secretKind, SessionKeySecret, getErr)
		}
	}
	return nil, err
}

// WatchSessionKeys calls deliver with the key file, at once and whenever it changes, until ctx ends. A Secret that is deleted
// or holds no keys is logged and changes nothing: uploads in flight depend on the keys that are in use.
func (c *Client) WatchSessionKeys(ctx context.Context, deliver func(keyFile []byte)) {
	c.Watch(ctx, SessionKeySecret, func(secret *Secret, err error) {
		var keys []byte
		switch {
		case err != nil:
		case secret == nil:
			err = c.accessError("read", secretKind, SessionKeySecret, errors.New("it was deleted: the next replica that starts makes a new one"))
		default:
			keys, err = c.sessionKeys(secret.Data)
		}
		if err != nil {
			c.log().Warn("session keys not reloaded, those in use stay", "error", err)
			return
		}
		deliver(keys)
	})
}

func newSessionKey() *corev1.Secret {
	key := make([]byte, sessionKeySize)
	_, _ = rand.Read(key) // never fails, says its documentation
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   SessionKeySecret,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "local-source-proxy"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{SessionKeyField: []byte(base64.StdEncoding.EncodeToString(key) + "\n")},
	}
}

func (c *Client) sessionKeys(data map[string][]byte) ([]byte, error) {
	keys := data[SessionKeyField]
	if len(bytes.TrimSpace(keys)) == 0 {
		return nil, c.accessError("read", secretKind, SessionKeySecret, fmt.Errorf(
			"it has no %q: put one base64 key of %d bytes a line there, or delete the Secret and restart", SessionKeyField, sessionKeySize))
	}
	return keys, nil
}
