// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
)

// openSessions finds the keys of upload sessions: in the given file, in the cluster's Secret, or else a random one, which neither
// a second replica nor a restarted one has. In a cluster there is no such way out: replicas with a key each would break every
// other upload.
func openSessions(ctx context.Context, file string, cluster *kube.Client) (*session.Sealer, error) {
	place, content := "random session key", keyfile.Generate()
	var err error
	switch {
	case file != "":
		place = file
		if content, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("%w: mend the file or --session-key-file", err)
		}
	case cluster != nil:
		place = "Secret " + kube.SessionKeySecret
		if content, err = cluster.Keys(ctx, kube.SessionKeySecret); err != nil {
			return nil, fmt.Errorf("session key: %w", err)
		}
	}
	keys, err := session.ParseKeys(place, content)
	if err != nil {
		return nil, err
	}
	return session.NewSealer(keys, time.Now), nil
}

// rotate puts changed keys in force. Content that is no key file changes nothing.
func rotate(sealer *session.Sealer, place string, logger *slog.Logger) func(content []byte) {
	return func(content []byte) {
		keys, err := session.ParseKeys(place, content)
		if err != nil {
			logger.Error("session keys not reloaded, the last good ones stay in use", "problem", err.Error())
			return
		}
		sealer.Replace(keys)
	}
}
