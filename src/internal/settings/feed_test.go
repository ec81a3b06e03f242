// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

const namespace = "tap-local-source-system"

func secret(name string, kind corev1.SecretType, key, content string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Type:       kind,
		Data:       map[string][]byte{key: []byte(content)},
	}
}

func pushSecret(content string) *corev1.Secret {
	return secret("push", corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, content)
}

func valuesSecret(content string) *corev1.Secret {
	return secret(settings.ValuesSecret, corev1.SecretTypeOpaque, settings.ValuesField, content)
}

// run starts a feed and waits until it is loaded. Its end is checked when the test ends.
func run(t *testing.T, config settings.Sources) (*settings.Live, chan struct{}) {
	t.Helper()
	l := settings.NewLive(settings.LiveConfig{
		ExpectDockerConfig: config.ExpectDockerConfig(),
		CheckDockerConfig: func(data []byte) error {
			if !strings.HasPrefix(string(data), "{") {
				return errors.New("not JSON")
			}
			return nil
		},
	})
	changes := make(chan struct{}, 16)
	ctx, cancel := context.WithCancel(t.Context())
	loaded, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- config.Run(ctx, l, func() { close(loaded) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the feed ended with %v", err)
		}
	})
	select {
	case <-loaded:
	case err := <-ended:
		t.Fatalf("the feed ended with %v", err)
	}
	l.Subscribe(func(*settings.Snapshot) { changes <- struct{}{} })
	return l, changes
}

// cluster is a fake API server whose watches are told of every change.
func cluster(objects ...*corev1.Secret) (*fake.Clientset, *kube.Client) {
	c := fake.NewSimpleClientset()
	for _, object := range objects {
		_ = c.Tracker().Add(object) // a failure shows as a missing Secret
	}
	return c, &kube.Client{Namespace: namespace, Secrets: c.CoreV1().Secrets(namespace)}
}

func TestRunFollowsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := cluster(valuesSecret("repository: r.io/a"), pushSecret("{1}"))
		l, _ := run(t, settings.Sources{Cluster: client, PushSecret: "push"})
		if s := l.Current(); s.Problem() != nil || s.Settings.Repository != "a" || string(s.DockerConfig) != "{1}" {
			t.Fatalf("at first: %+v, problem %v", s, s.Problem())
		}
		synctest.Wait() // until the watches are open
		for _, changed := range []*corev1.Secret{valuesSecret("repository: r.io/b"), pushSecret("{2}")} {
			if _, err := server.CoreV1().Secrets(namespace).Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if s := l.Current(); s.Settings.Repository != "b" || string(s.DockerConfig) != "{2}" {
			t.Errorf("after the change: %+v", s)
		}
		if err := server.CoreV1().Secrets(namespace).Delete(t.Context(), "push", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := l.Current(); string(s.DockerConfig) != "{2}" || s.Problem() != nil {
			t.Errorf("after the deletion: %+v", s)
		}
	})
}

func TestRunStartsWithoutSecretsAndTakesThemLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := cluster()
		l, _ := run(t, settings.Sources{Cluster: client, PushSecret: "push"})
		want := "the Secret local-source-proxy-values does not exist in namespace " + namespace + "\n" +
			"the Secret push does not exist in namespace " + namespace
		if problem := l.Current().Problem(); problem == nil || problem.Error() != want {
			t.Errorf("problem %v", problem)
		}
		synctest.Wait()
		for _, made := range []*corev1.Secret{valuesSecret("repository: r.io/a"), pushSecret("{}")} {
			if _, err := server.CoreV1().Secrets(namespace).Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if s := l.Current(); s.Problem() != nil || s.Settings.Repository != "a" {
			t.Errorf("%+v, problem %v", s, s.Problem())
		}
	})
}

func TestRunSaysWhatIsWrongWithASecret(t *testing.T) {
	const notACredential = "read Secret push in namespace " + namespace + ": it is not a registry credential: its type must be kubernetes.io/dockerconfigjson, " +
		`with the key ".dockerconfigjson": create it with kubectl create secret docker-registry`
	for name, c := range map[string]struct {
		values, push *corev1.Secret
		want         string
	}{
		"no values.yml": {secret(settings.ValuesSecret, "Opaque", "values.yaml", ""), pushSecret("{}"),
			"read Secret local-source-proxy-values in namespace " + namespace + `: it has no key "values.yml": put the package's values there`},
		"bad values": {valuesSecret("a: b"), pushSecret("{}"), "Secret local-source-proxy-values in namespace " + namespace +
			": line 1: a: unknown key: remove it, known keys are "},
		"opaque":  {valuesSecret("repository: r.io/a"), secret("push", "Opaque", ".dockerconfigjson", "{}"), notACredential},
		"old key": {valuesSecret("repository: r.io/a"), secret("push", "kubernetes.io/dockerconfigjson", ".dockercfg", "{}"), notACredential},
		"no JSON": {valuesSecret("repository: r.io/a"), pushSecret("x"), "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, client := cluster(c.values, c.push)
				l, _ := run(t, settings.Sources{Cluster: client, PushSecret: "push"})
				if problem := l.Current().Problem(); problem == nil || !strings.HasPrefix(problem.Error(), c.want) {
					t.Errorf("problem\n%v\nwant\n%s", problem, c.want)
				}
			})
		})
	}
}

func TestRunStartsWhileTheAPIServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := cluster()
		away := errors.New("connection refused")
		server.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, away })
		server.PrependWatchReactor("secrets", func(clienttesting.Action) (bool, watch.Interface, error) { return true, nil, away })
		l, _ := run(t, settings.Sources{Cluster: client})
		if problem := l.Current().Problem(); !errors.Is(problem, away) {
			t.Errorf("problem %v", problem)
		}
	})
}

func TestRunFollowsFiles(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	values, docker := filepath.Join(dir, "values.yml"), filepath.Join(dir, "config.json")
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(values, "repository: r.io/a")
	t.Run("", func(t *testing.T) {
		l, changes := run(t, settings.Sources{ValuesFile: values, DockerConfigFile: docker})
		want := "open " + docker + ": no such file or directory: mend the file or --docker-config"
		if problem := l.Current().Problem(); problem == nil || problem.Error() != want || l.Current().Settings.Repository != "a" {
			t.Fatalf("problem %v, want %s", problem, want)
		}
		write(docker, "{}")
		for l.Current().Problem() != nil {
			<-changes
		}
		write(values, "repository: r.io/b")
		for l.Current().Settings.Repository != "b" {
			<-changes
		}
	})
}

func TestRunPrefersTheValuesFileInACluster(t *testing.T) {
	path := filepath.Join(t.TempDir(), "values.yml")
	if err := os.WriteFile(path, []byte("repository: r.io/file"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, client := cluster(valuesSecret("repository: r.io/secret"))
	l, _ := run(t, settings.Sources{ValuesFile: path, Cluster: client})
	if got := l.Current().Settings.Repository; got != "file" {
		t.Errorf("repository %q", got)
	}
}

func TestRunWithoutSources(t *testing.T) {
	l, _ := run(t, settings.Sources{})
	want := "no --values-file: repository: is not set: set it to registry/path, or to user/repo on Docker Hub"
	if problem := l.Current().Problem(); problem == nil || problem.Error() != want {
		t.Errorf("problem %v", problem)
	}
}

func TestCheck(t *testing.T) {
	_, client := cluster()
	for want, config := range map[string]settings.Sources{
		"--push-secret and --docker-config exclude each other: pass one of them":                     {Cluster: client, PushSecret: "a", DockerConfigFile: "b"},
		"--push-secret needs a cluster to read the Secret from: pass --docker-config outside of one": {PushSecret: "a"},
	} {
		err := config.Run(t.Context(), settings.NewLive(settings.LiveConfig{}), func() { t.Error("loaded") })
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
