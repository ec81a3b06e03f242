// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// cause says what is the matter with Helm, which kustomize says in terms of its own parts, or with anything else.
func (s *Stage) cause(err error) error {
	switch {
	case s.Helm == "" && strings.Contains(err.Error(), "must specify --enable-helm"):
		return errors.New("its kustomization has helmCharts, which kustomize renders with --enable-helm only")
	case s.Helm != "" && strings.Contains(err.Error(), "is '"+s.Helm+"' installed?"):
		if _, missing := exec.LookPath(s.Helm); missing != nil {
			return fmt.Errorf("its helmCharts need Helm, and there is none: %w; install Helm, or name it with --helm-command", missing)
		}
	}
	return newBuildError(err)
}
