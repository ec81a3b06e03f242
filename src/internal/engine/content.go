// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// plain decompresses an answer that the registry has compressed unasked (quirk D3), while it is read.
func plain(resp *http.Response) error {
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return nil
	}
	reader, err := gzip.NewReader(resp.Body)
	if err != nil {
		discard(resp)
		return fmt.Errorf("decompress the answer: %w", err)
	}
	resp.Header.Del("Content-Encoding")
	stream(resp, reader)
	return nil
}

// stream puts content of unknown length into an answer, which comes from its body.
func stream(resp *http.Response, content io.Reader) {
	resp.Body = struct {
		io.Reader
		io.Closer
	}{content, resp.Body}
	resp.ContentLength = -1
	resp.Header.Del("Content-Length")
}

// beginning reads as much as is held in memory, and reports whether that is all.
func beginning(content io.Reader) (read []byte, whole bool, err error) {
	read, err = io.ReadAll(io.LimitReader(content, maxHeld))
	if err != nil || len(read) < maxHeld {
		return read, err == nil, err
	}
	return read, false, nil
}

// replace puts other content into an answer.
func replace(resp *http.Response, content []byte) {
	resp.Body = io.NopCloser(bytes.NewReader(content))
	resp.ContentLength = int64(len(content))
	resp.Header.Set("Content-Length", strconv.Itoa(len(content)))
}
