// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
)

// openSessions finds the keys of upload sessions: in the given file, in the cluster's Secret, or else a random one, which is
// said, because a second replica or a restart would not open what it seals.
func openSessions(_ context.Context, cfg Config) (*session.Sealer, error) {
	place, content := "random session key", session.GenerateKey()
	if cfg.SessionKeyFile != "" {
		data, err := os.ReadFile(cfg.SessionKeyFile)
		if err != nil {
			return nil, fmt.Errorf("--session-key-file: %w", err)
		}
		place, content = cfg.SessionKeyFile, data
	} else {
		cfg.Logger.Info("upload sessions are sealed with a key of this process alone: they end with it, and no other replica can continue them; see --session-key-file")
	}
	keys, err := session.ParseKeys(place, content)
	if err != nil {
		return nil, err
	}
	return session.NewSealer(keys, time.Now), nil
}
