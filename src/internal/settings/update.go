// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// input is what a source said last, so that what is said twice is heard once.
type input struct {
	heard bool
	data  []byte
	err   string
}

func (i *input) repeats(data []byte, err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if i.heard && i.err == text && bytes.Equal(i.data, data) {
		return true
	}
	*i = input{heard: true, data: bytes.Clone(data), err: text}
	return false
}

// UpdateValues takes the package's values from a place, or the error that there is instead of them.
//
// Values that cannot be read, or make invalid settings, never replace good ones. Without good ones they are
// published as the problem. Where their file or Secret is gone, they are withdrawn after [filewatch.Grace]. An
// empty repository is no mistake: it replaces what was there.
func (l *Live) UpdateValues(place string, data []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.values.repeats(data, err) {
		return
	}
	l.valuesGone.Stop()
	next := l.resolve(place, data, err)
	now := l.Current()
	result := Applied
	switch {
	case next.Invalid():
		result = Rejected
		if gone(err) && now.Settings.Configured() {
			l.withdraw(&l.valuesGone, ValuesFile, place, err, func(s *Snapshot) { s.Settings = next })
		}
	case next.Equal(now.Settings):
		result = Unchanged
	}
	if result == Applied || result == Rejected && !now.Settings.Configured() {
		changed := *now
		changed.Settings = next
		l.publish(&changed)
	}
	l.report(ValuesFile, place, result, next.Problem, now.Settings.Configured())
}

func (l *Live) resolve(place string, data []byte, err error) Settings {
	if err != nil {
		return Settings{Problem: err}
	}
	values, err := Parse(place, data)
	if err != nil {
		return Settings{Problem: err}
	}
	l.config.Adjust(&values)
	return values.Resolve(place)
}

// UpdateDockerConfig takes the docker config file from a place, or the error that there is instead of it, by
// the same rules.
func (l *Live) UpdateDockerConfig(place string, data []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dockerConfig.repeats(data, err) {
		return
	}
	if err == nil {
		err = l.config.CheckDockerConfig(data)
	}
	l.dockerConfigGone.Stop()
	now := l.Current()
	result := Applied
	switch {
	case err != nil && now.DockerConfig != nil && gone(err):
		result = Rejected
		l.withdraw(&l.dockerConfigGone, DockerConfigFile, place, err, func(s *Snapshot) {
			s.DockerConfig, s.DockerConfigProblem = nil, err
		})
	case err != nil:
		result = Rejected
		if now.DockerConfig == nil {
			changed := *now
			changed.DockerConfigProblem = err
			l.publish(&changed)
		}
	case now.DockerConfig != nil && bytes.Equal(data, now.DockerConfig):
		result = Unchanged
	default:
		changed := *now
		changed.DockerConfig, changed.DockerConfigProblem = append(DockerConfig{}, data...), nil
		l.publish(&changed)
	}
	l.report(DockerConfigFile, place, result, err, now.DockerConfig != nil)
}

// report tells the log and the hook of an update. hadGood says that there was something to fall back to.
func (l *Live) report(what, place, result string, problem error, hadGood bool) {
	log := l.config.Log.With("settings", what, "place", place)
	if problem != nil {
		log = log.With("problem", strings.ReplaceAll(problem.Error(), "\n", "; "))
	}
	switch {
	case result == Rejected && hadGood && gone(problem):
		log.Error("settings are gone, the last ones stay in use for a while", "grace", filewatch.Grace)
	case result == Rejected && hadGood:
		log.Error("settings not reloaded, the last good ones stay in use")
	case result == Rejected:
		log.Error("settings not usable, waiting for a change")
	case result == Applied && problem != nil:
		log.Warn("settings loaded, but incomplete")
	case result == Applied:
		log.Info("settings loaded", "snapshot", l.Current())
	}
	if result != Rejected {
		problem = nil
	}
	l.config.OnReload(what, result, problem)
}

// DockerConfig is the content of a docker config file: registry credentials. No verb of fmt prints it.
type DockerConfig []byte

// Format implements [fmt.Formatter].
func (d DockerConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "docker config of %d bytes", len(d))
}
