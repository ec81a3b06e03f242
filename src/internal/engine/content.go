// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// errTooLong says that an answer is longer than what is read of it.
var errTooLong = errors.New("the answer is too long")

// read reads the body of an answer up to a size, decompresses it where the registry has compressed it unasked
// (quirk D3), and closes it. Of a body that is longer it returns the beginning, and [errTooLong].
func read(resp *http.Response, limit int) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	discard(resp)
	if err != nil {
		return content, fmt.Errorf("read the answer: %w", err)
	}
	if len(content) > limit {
		return content[:limit], errTooLong
	}
	return decompressed(resp.Header, content, limit)
}

// decompressed undoes a gzip that nobody asked for, and removes the header that says so.
func decompressed(header http.Header, content []byte, limit int) ([]byte, error) {
	if !strings.EqualFold(header.Get("Content-Encoding"), "gzip") {
		return content, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("decompress the answer: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(reader, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("decompress the answer: %w", err)
	}
	if len(plain) > limit {
		return nil, fmt.Errorf("decompress the answer: %w", errTooLong)
	}
	header.Del("Content-Encoding")
	return plain, nil
}

// replace puts other content into an answer.
func replace(resp *http.Response, content []byte) {
	resp.Body = io.NopCloser(bytes.NewReader(content))
	resp.ContentLength = int64(len(content))
	resp.Header.Set("Content-Length", strconv.Itoa(len(content)))
}
