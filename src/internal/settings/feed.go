// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

const (
	// ValuesSecret is the Secret with the package's values, when no file is given.
	ValuesSecret = "local-source-proxy-values"
	// ValuesField is the key of the values in it.
	ValuesField = "values.yml"
)

// Sources says where the settings come from.
type Sources struct {
	// ValuesFile is the path of the values; empty in a cluster means [ValuesSecret].
	ValuesFile string
	// DockerConfigFile is the path of a docker config.json; empty when there is none.
	DockerConfigFile string
	// Cluster reads Secrets; nil outside a cluster.
	Cluster *kube.Client
	// PushSecret is the name of the Secret with the docker config; empty when there is none.
	PushSecret string
}

// Check reports flags that do not go together.
func (c Sources) Check() error {
	switch {
	case c.PushSecret != "" && c.DockerConfigFile != "":
		return errors.New("--push-secret and --docker-config exclude each other: pass one of them")
	case c.PushSecret != "" && c.Cluster == nil:
		return errors.New("--push-secret needs a cluster to read the Secret from: pass --docker-config outside of one")
	}
	return nil
}

// ExpectDockerConfig is what [settings.Config] asks for under this name.
func (c Sources) ExpectDockerConfig() bool { return c.PushSecret != "" || c.DockerConfigFile != "" }

// source delivers to one input of a Live, from the first state on, until ctx ends.
type source func(ctx context.Context, deliver update) error

// update is one of the two update methods of [settings.Live].
type update func(place string, data []byte, err error)

// Run keeps l up to date until ctx ends, and then returns nil. It calls loaded once, when every source has
// been read for the first time or has said why it cannot be; [settings.Snapshot.Problem] then tells whether
// that is good enough to start. An error means that the sources cannot be watched, or that the Config does
// not pass its Check.
func (c Sources) Run(ctx context.Context, l *Live, loaded func()) error {
	if err := c.Check(); err != nil {
		return err
	}
	feeds := []struct {
		source source
		update update
	}{{c.values(), l.UpdateValues}}
	if c.ExpectDockerConfig() {
		feeds = append(feeds, struct {
			source source
			update update
		}{c.dockerConfig(), l.UpdateDockerConfig})
	}

	defer l.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running, first sync.WaitGroup
	first.Add(len(feeds))
	errs := make([]error, len(feeds))
	for i, feed := range feeds {
		var once sync.Once
		running.Go(func() {
			errs[i] = feed.source(ctx, func(place string, data []byte, err error) {
				feed.update(place, data, err)
				once.Do(first.Done)
			})
			if errs[i] != nil {
				cancel() // before the others are let on
			}
			once.Do(first.Done)
		})
	}
	first.Wait()
	if ctx.Err() == nil {
		loaded()
	}
	running.Wait()
	return errors.Join(errs...)
}

func (c Sources) values() source {
	switch {
	case c.ValuesFile != "":
		return file("--values-file", c.ValuesFile)
	case c.Cluster != nil:
		return c.secret(ValuesSecret, func(s *kube.Secret) ([]byte, error) {
			data, ok := s.Data[ValuesField]
			if !ok {
				return nil, fmt.Errorf("it has no key %q: put the package's values there", ValuesField)
			}
			return data, nil
		})
	default:
		return func(ctx context.Context, deliver update) error {
			deliver("no --values-file", nil, nil)
			<-ctx.Done()
			return nil
		}
	}
}

func (c Sources) dockerConfig() source {
	if c.DockerConfigFile != "" {
		return file("--docker-config", c.DockerConfigFile)
	}
	return c.secret(c.PushSecret, (*kube.Secret).DockerConfig)
}

// file feeds from the file that a flag names.
func file(flag, path string) source {
	return func(ctx context.Context, deliver update) error {
		return filewatch.Watch(ctx, []string{path}, func(files map[string]filewatch.File) {
			f := files[path]
			if f.Err != nil {
				f.Err = fmt.Errorf("%w: mend the file or %s", f.Err, flag)
			}
			deliver(path, f.Data, f.Err)
		})
	}
}

// secret feeds from a Secret, out of which take picks what is wanted.
func (c Sources) secret(name string, take func(*kube.Secret) ([]byte, error)) source {
	place := fmt.Sprintf("Secret %s in namespace %s", name, c.Cluster.Namespace)
	return func(ctx context.Context, deliver update) error {
		c.Cluster.Watch(ctx, name, func(secret *kube.Secret, err error) {
			if err == nil && secret == nil {
				err = filewatch.Missing(fmt.Errorf("the Secret %s does not exist in namespace %s", name, c.Cluster.Namespace))
			}
			if err != nil {
				deliver(place, nil, err)
				return
			}
			data, err := take(secret)
			if err != nil {
				err = fmt.Errorf("read %s: %w", place, err)
			}
			deliver(place, data, err)
		})
		return nil
	}
}
