// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"cmp"
	"strconv"
)

// naturally compares names of versions: v1.10 comes after v1.9.
func naturally(a, b string) int {
	for a != "" && b != "" {
		x, restA := number(a)
		y, restB := number(b)
		if x != y {
			if nx, err := strconv.Atoi(x); err == nil {
				if ny, err := strconv.Atoi(y); err == nil && nx != ny {
					return cmp.Compare(nx, ny)
				}
			}
			return cmp.Compare(x, y)
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// number cuts off the digits that a text begins with, or else its first byte.
func number(text string) (first, rest string) {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	end = max(end, 1)
	return text[:end], text[end:]
}
