// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fieldsByKey lists the fields of a struct type by their key, those of embedded types too.
func (f Format) fieldsByKey(typ reflect.Type) map[string]reflect.StructField {
	fields := make(map[string]reflect.StructField, typ.NumField())
	for field := range typ.Fields() {
		key, _, _ := strings.Cut(field.Tag.Get(f.Tag), ",")
		if field.Anonymous && key == "" {
			maps.Copy(fields, f.fieldsByKey(field.Type))
			continue
		}
		fields[key] = field
	}
	return fields
}

// remedyForKey says what to write in place of an unknown key.
func (f Format) remedyForKey(parent, key string, fields map[string]reflect.StructField) string {
	if f.Remedy != nil {
		if remedy := f.Remedy(parent, key); remedy != "" {
			return remedy
		}
	}
	known := slices.Sorted(maps.Keys(fields))
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "remove it, known keys are " + strings.Join(known, ", ")
}

// nearest returns the known key that key most likely was meant to be, empty when none is near.
func nearest(key string, known []string) string {
	best, bestDistance := "", max(2, len(key)/3)+1
	for _, candidate := range known {
		if d := distance(fold(key), fold(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// fold makes caCertData, ca-cert-data and ca_cert_data the same.
func fold(key string) string {
	const longest = 64
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(key[:min(len(key), longest)]))
}

// distance is the number of bytes to insert, delete, replace or swap with their neighbour (optimal string
// alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
