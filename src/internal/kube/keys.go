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

// Keys returns the key file (package keyfile) of that Secret, which all replicas share. The package makes the
// Secret empty. The first replica puts a random key into it; those that come later, or at the same moment,
// read that one.
//
// The server creates no Secret: with the right to create one of any type, it could have one filled with another
// ServiceAccount's token. The content is not checked beyond being there.
func (c *Client) Keys(ctx context.Context, name string) ([]byte, error) {
	var err error
	for range 3 { // another replica can fill the Secret between the steps
		var secret *corev1.Secret
		if secret, err = c.filled(ctx, name); err == nil {
			return c.keys(name, secret.Data)
		}
		if !apierrors.IsConflict(err) {
			break
		}
	}
	if apierrors.IsNotFound(err) {
		err = errors.New("it does not exist: reconcile the package, which makes it empty")
	}
	return nil, c.accessError(secretKind, name, err)
}

// filled reads the Secret, and puts a key into it where it has none.
func (c *Client) filled(ctx context.Context, name string) (*corev1.Secret, error) {
	found, err := c.Secrets.Get(ctx, name, metav1.GetOptions{})
	if err != nil || hasKeys(found.Data) {
		return found, err
	}
	empty := found.DeepCopy() // its version: a second replica's change is a conflict
	empty.Data = map[string][]byte{KeyField: keyfile.Generate()}
	changed, err := c.Secrets.Update(ctx, empty, metav1.UpdateOptions{})
	if apierrors.IsForbidden(err) {
		return found, nil
	}
	return changed, err
}

func hasKeys(data map[string][]byte) bool { return len(bytes.TrimSpace(data[KeyField])) > 0 }

// WatchKeys calls deliver with the key file, at once and whenever it changes, until ctx ends. A Secret that
// is deleted or holds no keys is logged and changes nothing: what was made with the keys that are in use
// depends on them.
func (c *Client) WatchKeys(ctx context.Context, name string, deliver func(keyFile []byte)) {
	c.Watch(ctx, name, func(secret *Secret, err error) {
		var keys []byte
		switch {
		case err != nil:
		case secret == nil:
			err = c.accessError(secretKind, name, errors.New("it was deleted: reconcile the package, which makes an empty one for the next replica to fill"))
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

func (c *Client) keys(name string, data map[string][]byte) ([]byte, error) {
	if !hasKeys(data) {
		return nil, c.accessError(secretKind, name, fmt.Errorf(
			"it has no %q: put one base64 key of %d bytes a line there, or let the ServiceAccount update it", KeyField, keyfile.Size))
	}
	return data[KeyField], nil
}
