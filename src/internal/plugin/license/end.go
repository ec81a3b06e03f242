// SPDX-License-Identifier: Apache-2.0

package license

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"time"
)

// End is when something shall end: at a time, after a span of time, or never, which is the zero value.
type End struct {
	at   time.Time
	span time.Duration
}

var errTooLong = errors.New("is too long a span of time: write at most 100000d")

// ParseEnd reads "30d", "2w", "12h", a date (its first moment in UTC), a time of RFC 3339, or "never".
func ParseEnd(text string) (End, error) {
	if text == "never" {
		return End{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return End{at: at}, nil
		}
	}
	span, err := ParseSpan(text)
	if errors.Is(err, errTooLong) {
		return End{}, err
	}
	if err != nil {
		return End{}, errors.New("write a span of time such as 30d, 2w or 12h, a date such as 2027-01-01, a time such as 2027-01-01T00:00:00Z, or never")
	}
	return End{span: span}, nil
}

// ParseSpan reads days ("30d"), weeks ("2w"), or what Go calls a duration ("12h", "1h30m"). It is more than
// nothing.
func ParseSpan(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	mistake := errors.New("write a span of time such as 30d, 2w or 12h")
	match := regexp.MustCompile(`^(\d+)([dw])$`).FindStringSubmatch(text)
	if match == nil {
		span, err := time.ParseDuration(text)
		if err != nil || span <= 0 {
			return 0, mistake
		}
		return span, nil
	}
	unit := day
	if match[2] == "w" {
		unit = 7 * day
	}
	n, err := strconv.ParseInt(match[1], 10, 64)
	if errors.Is(err, strconv.ErrRange) || n > math.MaxInt64/int64(unit) {
		return 0, errTooLong
	}
	if err != nil || n < 1 {
		return 0, mistake
	}
	return time.Duration(n) * unit, nil
}

// From is the time that is meant, where spans count from base. The zero time is never.
func (e End) From(base time.Time) time.Time {
	if e.span > 0 {
		return base.Add(e.span).Truncate(time.Second)
	}
	return e.at
}
