// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// deliver takes the docker config that was read at a place, which messages call by another name, or why it was not.
type deliver func(place, called string, data []byte, err error)

// files follows docker config files.
type files struct {
	deliver deliver
	paths   []string
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// follow reads the files from now on, and no others.
func (f *files) follow(ctx context.Context, paths []string) {
	slices.Sort(paths)
	if slices.Equal(paths, f.paths) {
		return
	}
	f.stop()
	f.paths = paths
	if len(paths) == 0 {
		return
	}
	ctx, f.cancel = context.WithCancel(ctx)
	f.running.Go(func() {
		err := filewatch.Watch(ctx, paths, func(read map[string]filewatch.File) {
			for path, file := range read {
				if errors.Is(file.Err, fs.ErrNotExist) {
					file.Err = fmt.Errorf("%s does not exist: write it with docker login, or mend dockerConfigFile", path)
				}
				f.deliver(path, path, file.Data, file.Err)
			}
		})
		if err != nil {
			for _, path := range paths {
				f.deliver(path, path, nil, err)
			}
		}
	})
}

func (f *files) stop() {
	if f.cancel != nil {
		f.cancel()
		f.running.Wait()
	}
	f.cancel, f.paths = nil, nil
}

// secrets follows Secrets with docker configs.
type secrets struct {
	cluster *kube.Client
	deliver deliver
	ends    map[string]context.CancelFunc // by name
	running sync.WaitGroup
}

// follow reads the Secrets of these names from now on, and no others.
func (s *secrets) follow(ctx context.Context, names []string) {
	for name, end := range s.ends {
		if !slices.Contains(names, name) {
			end()
			delete(s.ends, name)
		}
	}
	for _, name := range names {
		if _, known := s.ends[name]; known {
			continue
		}
		ctx, end := context.WithCancel(ctx)
		s.ends[name] = end
		s.running.Go(func() {
			s.cluster.Watch(ctx, name, func(secret *kube.Secret, err error) {
				if ctx.Err() != nil {
					return
				}
				var data []byte
				if err == nil {
					data, err = s.dockerConfig(name, secret)
				}
				s.deliver(name, "Secret "+name, data, err)
			})
		})
	}
}

func (s *secrets) dockerConfig(name string, secret *kube.Secret) ([]byte, error) {
	if secret == nil {
		return nil, fmt.Errorf("the Secret %s does not exist in namespace %s: create it with kubectl create secret docker-registry", name, s.cluster.Namespace)
	}
	data, err := secret.DockerConfig()
	if err != nil {
		return nil, fmt.Errorf("the Secret %s: %w", name, err)
	}
	return data, nil
}

func (s *secrets) stop() {
	for _, end := range s.ends {
		end()
	}
	s.running.Wait()
}
