// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// ErrNotLoaded is the problem of what has not been read yet.
var ErrNotLoaded = errors.New("the settings have not been read yet")

// The results that [Config.OnReload] is told.
const (
	// Applied means that the next request uses the update.
	Applied = "applied"
	// Unchanged means that the update was good and made no difference.
	Unchanged = "unchanged"
	// Rejected means that the update has a problem. The last good one stays in use, if there was one.
	Rejected = "rejected"
)

// What [LiveConfig.OnReload] is told of.
const (
	ValuesFile       = "values"
	DockerConfigFile = "docker config"
)

// LiveConfig is what [New] needs.
type LiveConfig struct {
	// CheckDockerConfig says what is wrong with a docker config file. Its errors must not show secrets.
	CheckDockerConfig func(data []byte) error
	// ExpectDockerConfig says that there will be one: until then, that is a problem.
	ExpectDockerConfig bool
	// Adjust changes values before they are used, as flags do that stand above the file; nil changes nothing.
	Adjust func(*Values)
	// OnReload gets the result of each update of something ([ValuesFile] or [DockerConfigFile]), and the problem
	// when it was refused; may be nil.
	OnReload func(what, result string, err error)
	// Log gets one line for each update that is applied or rejected; nil discards.
	Log *slog.Logger
}

// Snapshot is the state at one moment. It never changes; a new one takes its place.
type Snapshot struct {
	// Settings say where to push. While they have a Problem, no request can be served, and /health says the
	// reason.
	Settings Settings
	// DockerConfig is the checked content of the docker config file; nil when there is none.
	DockerConfig DockerConfig
	// DockerConfigProblem is why an expected docker config is missing.
	DockerConfigProblem error
}

// Problem joins what keeps this snapshot from working; nil when nothing does.
func (s *Snapshot) Problem() error { return errors.Join(s.Settings.Problem, s.DockerConfigProblem) }

// LogValue implements [slog.LogValuer], without the credential.
func (s *Snapshot) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("registry", s.Settings.Registry),
		slog.String("repository", s.Settings.Repository),
		slog.Bool("credential", s.DockerConfig != nil),
	)
}

// Live is the current [Snapshot] and the way to change it. All methods may be called at the same time.
type Live struct {
	config  LiveConfig
	current atomic.Pointer[Snapshot]

	mu           sync.Mutex // serializes updates and guards what follows
	subscribers  map[int]func(*Snapshot)
	nextID       int
	values       input
	dockerConfig input
	// valuesGone and dockerConfigGone run while the source of either is gone.
	valuesGone, dockerConfigGone filewatch.Withdrawal
}

// NewLive returns a Live that waits for its first update.
func NewLive(config LiveConfig) *Live {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Adjust == nil {
		config.Adjust = func(*Values) {}
	}
	if config.OnReload == nil {
		config.OnReload = func(string, string, error) {}
	}
	l := &Live{config: config, subscribers: map[int]func(*Snapshot){}}
	first := &Snapshot{Settings: Settings{Problem: ErrNotLoaded}}
	if config.ExpectDockerConfig {
		first.DockerConfigProblem = ErrNotLoaded
	}
	l.current.Store(first)
	return l
}

// Current returns the snapshot in use, never nil. It does not block.
func (l *Live) Current() *Snapshot { return l.current.Load() }

// Subscribe calls changed with each snapshot from now on, in order and one at a time, before the update that
// made it returns. The callee must not update or subscribe. The function that is returned ends it.
func (l *Live) Subscribe(changed func(*Snapshot)) (cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.nextID
	l.nextID++
	l.subscribers[id] = changed
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.subscribers, id)
	}
}

// publish makes a snapshot the current one. The lock is held.
func (l *Live) publish(next *Snapshot) {
	l.current.Store(next)
	for _, changed := range l.subscribers {
		changed(next)
	}
}
