// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// noIdentity stands for the libraries' list of everything that they have not found.
type noIdentity struct{ error }

func (noIdentity) Error() string {
	return "no workload identity, managed identity or service principal here"
}

func (e noIdentity) Unwrap() error { return e.error }

// azureError shortens what the libraries print: the whole answer, with trace ids, for every way that they
// tried.
func azureError(host, step string, err error, remedy string) error {
	cause := keychain.OneLineError(err)
	if refused, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		cause = lastLine(err)
		if refused.RawResponse != nil {
			cause = said(refused.RawResponse)
		}
	} else if refused, ok := errors.AsType[*azcore.ResponseError](err); ok && refused.RawResponse != nil {
		cause = said(refused.RawResponse)
	}
	return &keychain.Error{Cloud: "Azure Container Registry", Host: host, Step: step, Cause: cause,
		Remedy: remedy, Err: err}
}

// said is the reason in an answer of Entra ID (RFC 6749, section 5.2) or of a registry (OCI errors), or its
// status.
func said(response *http.Response) string {
	var answer struct {
		Error       any    `json:"error"`
		Description string `json:"error_description"`
		Errors      []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	body, err := runtime.Payload(response) // the libraries have buffered it
	if err == nil && json.Unmarshal(body, &answer) == nil {
		if code, ok := answer.Error.(string); ok {
			reason, _, _ := strings.Cut(keychain.Text(answer.Description), " Trace ID:")
			return keychain.Text(code + ": " + reason)
		}
		if len(answer.Errors) > 0 {
			return keychain.Text(answer.Errors[0].Code + ": " + answer.Errors[0].Message)
		}
	}
	return fmt.Sprintf("the answer is HTTP status %d", response.StatusCode)
}

// lastLine is where the libraries put the way that failed after all others were not available; they add a
// link to their manual.
func lastLine(err error) string {
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), ". To troubleshoot, visit ")
	return keychain.Text(text[strings.LastIndexByte(text, '\n')+1:])
}
