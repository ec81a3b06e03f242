// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrUnknown is the error for every token that cannot be used.
var ErrUnknown = errors.New("upload session unknown")

// Sealer makes tokens of records and records of tokens. It is safe for concurrent use.
type Sealer struct {
	keys atomic.Pointer[Keys]
	now  func() time.Time
}

// NewSealer makes a sealer; now is the clock, [time.Now] outside tests.
func NewSealer(keys *Keys, now func() time.Time) *Sealer {
	s := &Sealer{now: now}
	s.keys.Store(keys)
	return s
}

// Replace puts other keys in force for the next token.
func (s *Sealer) Replace(keys *Keys) { s.keys.Store(keys) }

// Seal makes the token for a record; it stamps the time of issue. The token is unpadded base64url: one path
// segment.
func (s *Sealer) Seal(owner Owner, record Record) (string, error) {
	record.Issued = s.now().Unix()
	plain, err := json.Marshal(record)
	if err != nil {
		return "", fmt.Errorf("encode upload session: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.keys.Load().seal(plain, owner.bytes())), nil
}

// Open returns the record of a token that was sealed for this owner less than [Lifetime] ago. Every error is
// [ErrUnknown]; the wrapped cause is for the log.
func (s *Sealer) Open(owner Owner, token string) (Record, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return Record{}, fmt.Errorf("%w: token is not base64url", ErrUnknown)
	}
	plain, err := s.keys.Load().open(sealed, owner.bytes())
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	var record Record
	if err := json.Unmarshal(plain, &record); err != nil {
		return Record{}, fmt.Errorf("%w: sealed by an incompatible version: %w", ErrUnknown, err)
	}
	if age := s.now().Sub(time.Unix(record.Issued, 0)); age > Lifetime {
		return Record{}, fmt.Errorf("%w: expired %s ago", ErrUnknown, (age - Lifetime).Round(time.Second))
	}
	return record, nil
}
