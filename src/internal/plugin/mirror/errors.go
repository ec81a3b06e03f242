// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Errors that registries answer with.
var (
	// errAbsent is that there is no such manifest.
	errAbsent = errors.New("there is no such manifest")
	// errRefused is that the credential, or none, does not open it.
	errRefused = errors.New("refused")
)

// answered sorts an error of go-containerregistry's, and says it without the URL.
func answered(host string, err error) error {
	if err == nil {
		return nil
	}
	said, ok := errors.AsType[*transport.Error](err)
	if !ok {
		if network, ok := errors.AsType[*net.OpError](err); ok {
			return fmt.Errorf("%s does not answer: %w", host, network)
		}
		return fmt.Errorf("%s: %w", host, err)
	}
	var words []string
	for _, one := range said.Errors {
		words = append(words, strings.TrimSpace(string(one.Code)+": "+one.Message))
	}
	if len(words) == 0 {
		words = []string{http.StatusText(said.StatusCode)}
	}
	text := fmt.Sprintf("%s answers %d, %s", host, said.StatusCode, strings.Join(words, "; "))
	switch said.StatusCode {
	case http.StatusNotFound:
		return answer{text, errAbsent}
	case http.StatusUnauthorized, http.StatusForbidden:
		return answer{text, errRefused}
	default:
		return answer{text, err}
	}
}

// answer is what a registry said, and what that amounts to.
type answer struct {
	text string
	kind error
}

func (a answer) Error() string { return a.text }

func (a answer) Unwrap() error { return a.kind }
