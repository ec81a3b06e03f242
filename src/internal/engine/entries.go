// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

const (
	// maxRefusal is what is read of an error's body, in bytes: a list with one error for each of many layers.
	maxRefusal = 128 << 10
	// maxRefusals is how many errors of a list are passed on.
	maxRefusals = 1000
)

// said reads the body of an error.
func said(resp *http.Response) []byte {
	if err := plain(resp); err != nil {
		return nil
	}
	defer discard(resp)
	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what arrived is all there is to say
	return content
}

// entriesOf returns the errors of a body; none, where it is no OCI JSON.
func entriesOf(content []byte) []oci.ErrorEntry {
	var body struct{ Errors refusals }
	if err := json.Unmarshal(content, &body); err != nil {
		return nil
	}
	return body.Errors
}

// refusals are the errors of a list, as many as are passed on. Empty ones take twenty times the memory of
// their text.
type refusals []oci.ErrorEntry

// UnmarshalJSON implements [json.Unmarshaler].
func (r *refusals) UnmarshalJSON(list []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(list))
	if bracket, err := decoder.Token(); err != nil || bracket != json.Delim('[') {
		return err
	}
	for decoder.More() && len(*r) < maxRefusals {
		var entry oci.ErrorEntry
		if err := decoder.Decode(&entry); err != nil {
			return err
		}
		*r = append(*r, entry)
	}
	return nil
}
