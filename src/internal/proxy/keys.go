// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keyfile"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// keys are those that replicas share: from the given file, from a Secret of the cluster, or else a random
// one, which neither a second replica nor a restarted one has. In a cluster there is no such way out:
// replicas with a key each would refuse what the others have made.
type keys struct {
	// what they are, in messages.
	what    string
	file    string
	cluster *kube.Client
	secret  string
	logger  *slog.Logger
	// reloaded is told of each change, and whether it is in force.
	reloaded func(what string, applied bool)
}

// place is where they are from.
func (k keys) place() string {
	switch {
	case k.file != "":
		return k.file
	case k.cluster != nil:
		return "Secret " + k.secret
	default:
		return "random key"
	}
}

// alone reports whether no other process has them.
func (k keys) alone() bool { return k.file == "" && k.cluster == nil }

// read returns the content of a key file.
func (k keys) read(ctx context.Context) ([]byte, error) {
	switch {
	case k.file != "":
		content, err := os.ReadFile(k.file)
		if err != nil {
			return nil, fmt.Errorf("%w: mend the file or --session-key-file", err)
		}
		return content, nil
	case k.cluster != nil:
		content, err := k.cluster.Keys(ctx, k.secret)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.what, err)
		}
		return content, nil
	default:
		return keyfile.Generate(), nil
	}
}

// follow puts changed keys in force until the context ends. Content that is no key file changes nothing.
func (k keys) follow(ctx context.Context, replace func(place string, content []byte) error) {
	changed := func(content []byte) {
		err := replace(k.place(), content)
		k.reloaded(k.what, err == nil)
		if err != nil {
			k.logger.Error("keys not reloaded, the last good ones stay in use", "keys", k.what, "problem", err.Error())
		}
	}
	switch {
	case k.file != "":
		err := filewatch.Watch(ctx, []string{k.file}, func(files map[string]filewatch.File) {
			if file := files[k.file]; file.Err == nil {
				changed(file.Data)
			}
		})
		if err != nil {
			k.logger.Error("keys are not watched", "keys", k.what, "problem", err.Error())
		}
	case k.cluster != nil:
		k.cluster.WatchKeys(ctx, k.secret, changed)
	}
}

// parsed has what reads a key file before what uses the keys in it.
func parsed[K any](
	parse func(place string, content []byte) (K, error), use func(K),
) func(place string, content []byte) error {
	return func(place string, content []byte) error {
		next, err := parse(place, content)
		if err == nil {
			use(next)
		}
		return err
	}
}
