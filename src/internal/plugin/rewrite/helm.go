// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// helmError says what is the matter with Helm, which kustomize says in terms of its own parts.
func (s *Stage) helmError(err error) error {
	switch {
	case s.Helm == "" && strings.Contains(err.Error(), "must specify --enable-helm"):
		return errors.New("its kustomization has helmCharts, which kustomize renders with --enable-helm only")
	case s.Helm != "" && strings.Contains(err.Error(), "is '"+s.Helm+"' installed?"):
		if _, missing := exec.LookPath(s.Helm); missing != nil {
			return fmt.Errorf("its helmCharts need Helm, and there is none: %w; install Helm, or name it with --helm-command", missing)
		}
	}
	return err
}
