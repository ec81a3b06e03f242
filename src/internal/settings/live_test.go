// SPDX-License-Identifier: Apache-2.0

package settings_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
)

const place = "values.yml"

// bench is a Live with what it told the world.
type bench struct {
	*settings.Live
	log     bytes.Buffer
	results []string
	seen    []*settings.Snapshot
}

func start(config settings.LiveConfig) *bench {
	b := &bench{}
	config.CheckDockerConfig = func(data []byte) error {
		if !bytes.HasPrefix(data, []byte("{")) {
			return errors.New("config.json: is not JSON: paste it again")
		}
		return nil
	}
	config.OnReload = func(_, result string, err error) { b.results = append(b.results, fmt.Sprint(result, " ", err)) }
	config.Log = slog.New(slog.NewJSONHandler(&b.log, nil))
	b.Live = settings.NewLive(config)
	b.Subscribe(func(s *settings.Snapshot) { b.seen = append(b.seen, s) })
	return b
}

func (b *bench) values(text string) { b.UpdateValues(place, []byte(text), nil) }

func (b *bench) docker(text string) { b.UpdateDockerConfig("config.json", []byte(text), nil) }

// expect compares the results since the last call, how many snapshots and log lines came with them, and
// forgets them.
func (b *bench) expect(t *testing.T, snapshots, lines int, results ...string) {
	t.Helper()
	if diff := cmp.Diff(results, b.results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if got := strings.Count(b.log.String(), "\n"); len(b.seen) != snapshots || got != lines {
		t.Errorf("%d snapshots and %d log lines, want %d and %d:\n%s", len(b.seen), got, snapshots, lines, b.log.String())
	}
	b.results, b.seen = nil, nil
	b.log.Reset()
}

func TestNothingIsLoadedAtFirst(t *testing.T) {
	for _, expected := range []bool{false, true} {
		s := settings.NewLive(settings.LiveConfig{ExpectDockerConfig: expected}).Current()
		if !errors.Is(s.Settings.Problem, settings.ErrNotLoaded) || errors.Is(s.DockerConfigProblem, settings.ErrNotLoaded) != expected || s.Problem() == nil {
			t.Errorf("expected %v: %+v", expected, s)
		}
	}
}

func TestGoodValuesReplaceGoodOnes(t *testing.T) {
	b := start(settings.LiveConfig{})
	b.values("repository: r.io/a")
	b.expect(t, 1, 1, "applied <nil>")
	before := b.Current()
	b.values("repository: r.io/b\nallow_pull: true")
	b.expect(t, 1, 1, "applied <nil>")
	now := b.Current()
	if before.Settings.Repository != "a" || now.Settings.Repository != "b" || !now.Settings.AllowPull || now.Problem() != nil {
		t.Errorf("before %+v, now %+v", before, now)
	}
}

func TestWhatChangesNothingIsNotPublished(t *testing.T) {
	b := start(settings.LiveConfig{})
	b.values("repository: r.io/a")
	b.docker("{}")
	b.expect(t, 2, 2, "applied <nil>", "applied <nil>")
	b.values("repository: r.io/a")
	b.docker("{}")
	b.expect(t, 0, 0)
	b.values("repository: r.io/a # a comment")
	b.expect(t, 0, 0, "unchanged <nil>")
}

func TestBadValuesKeepTheLastGoodOnes(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		err  error
		want string
	}{
		"YAML":       {data: "repositry: x\nallow_pull: 1", want: "values.yml: line 1: repositry: unknown key: did you mean repository?\nvalues.yml: line 2: allow_pull: expected true or false, found a number: correct the value"},
		"repository": {data: "repository: https://r.io/a", want: "values.yml: repository: has a scheme: begin with the registry's host"},
		"CA":         {data: "repository: r.io/a\nca_cert_data: x", want: "values.yml: ca_cert_data: holds no PEM certificate: paste certificates that begin with -----BEGIN CERTIFICATE-----"},
		"no file":    {err: errors.New("open values.yml: no such file"), want: "open values.yml: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(settings.LiveConfig{})
			b.UpdateValues(place, []byte(c.data), c.err)
			b.expect(t, 1, 1, "rejected "+c.want)
			if problem := b.Current().Settings.Problem; problem == nil || problem.Error() != c.want {
				t.Errorf("without good ones, the problem is %v", problem)
			}

			b.values("repository: r.io/good")
			b.expect(t, 1, 1, "applied <nil>")
			good := b.Current()
			b.UpdateValues(place, []byte(c.data), c.err)
			if line := b.log.String(); !strings.Contains(line, `"place":"values.yml"`) || !strings.Contains(line, "the last good ones stay in use") {
				t.Errorf("log line %s", line)
			}
			b.expect(t, 0, 1, "rejected "+c.want)
			if b.Current() != good {
				t.Error("the good ones were replaced")
			}
			b.values("repository: r.io/good")
			b.expect(t, 0, 0, "unchanged <nil>")
		})
	}
}

func TestAnEmptyRepositoryIsNoMistake(t *testing.T) {
	b := start(settings.LiveConfig{})
	b.values("repository: r.io/a")
	b.values("allow_pull: true")
	b.expect(t, 2, 2, "applied <nil>", "applied <nil>")
	if s := b.Current().Settings; !errors.Is(s.Problem, settings.ErrNoRepository) || s.Registry != "" {
		t.Errorf("settings %+v", s)
	}
	b.values("repository: /")
	b.expect(t, 1, 1, "rejected values.yml: repository: ends with a slash: remove the slash")
	if !b.Current().Settings.Invalid() {
		t.Error("the newer problem is not shown")
	}
}

func TestDockerConfigFollowsTheSameRules(t *testing.T) {
	b := start(settings.LiveConfig{ExpectDockerConfig: true})
	b.values("repository: r.io/a")
	b.UpdateDockerConfig("Secret push", nil, errors.New("the Secret push does not exist yet in namespace n"))
	if problem := b.Current().Problem(); problem == nil || problem.Error() != "the Secret push does not exist yet in namespace n" {
		t.Errorf("problem %v", problem)
	}
	b.docker("garbage")
	b.docker("{1}")
	b.expect(t, 4, 4, "applied <nil>", "rejected the Secret push does not exist yet in namespace n",
		"rejected config.json: is not JSON: paste it again", "applied <nil>")
	b.docker("garbage")
	b.UpdateDockerConfig("Secret push", nil, errors.New("gone"))
	b.expect(t, 0, 2, "rejected config.json: is not JSON: paste it again", "rejected gone")
	if s := b.Current(); string(s.DockerConfig) != "{1}" || s.Problem() != nil {
		t.Errorf("config %q, problem %v", []byte(s.DockerConfig), s.Problem())
	}
}

func TestSnapshotsDoNotShareBytes(t *testing.T) {
	b := start(settings.LiveConfig{})
	data := []byte("{1}")
	b.UpdateDockerConfig("config.json", data, nil)
	data[1] = '2'
	if got := string(b.Current().DockerConfig); got != "{1}" {
		t.Errorf("the snapshot changed to %s", got)
	}
}

func TestAdjustStandsAboveTheFile(t *testing.T) {
	b := start(settings.LiveConfig{Adjust: func(v *settings.Values) { v.Repository = "localhost:5000/source" }})
	b.values("allow_pull: true\nrepository: r.io/a")
	if s := b.Current().Settings; s.Registry != "localhost:5000" || !s.AllowPull {
		t.Errorf("settings %+v", s)
	}
}

func TestSubscriptionEnds(t *testing.T) {
	b := start(settings.LiveConfig{})
	calls := 0
	cancel := b.Subscribe(func(*settings.Snapshot) { calls++ })
	b.values("repository: r.io/a")
	cancel()
	b.values("repository: r.io/b")
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	b := start(settings.LiveConfig{})
	b.values("repository: r.io/a")
	b.docker(`{"auth":"hunter2"}`)
	s := b.Current()
	slog.New(slog.NewJSONHandler(&b.log, nil)).Info("x", "snapshot", s)
	text := b.log.String() + fmt.Sprintf("%v %+v %#v %s %x %q", s, *s, *s, s.DockerConfig, s.DockerConfig, s.DockerConfig)
	for _, secret := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), "aHVudGVyMg"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
}
