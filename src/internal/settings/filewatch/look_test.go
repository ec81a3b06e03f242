// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLookReadsWhatLooksTouched: of many files, a change costs the reading of one. Whatever changes about a
// file makes it look touched, also where a tool keeps its size and sets its time back, and one that is so
// young that it could change and look the same always does.
func TestLookReadsWhatLooksTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which it is the year 2000, long before the files were made
		d := &dir{path: t.TempDir(), pick: func(string) bool { return true }, known: map[string]trace{}}
		old := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
		file := filepath.Join(d.path, "file")
		put := func(name, content string, modified time.Time) {
			t.Helper()
			path := filepath.Join(d.path, name)
			before, absent := os.Stat(path)
			for again := true; again; { // until the clock of the file system, which is a slow one, has moved
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, time.Time{}, modified); err != nil {
					t.Fatal(err)
				}
				now := changeTime(stat(t, path))
				again = absent == nil && !now.IsZero() && now.Equal(changeTime(before))
			}
		}
		look := func(want ...string) {
			t.Helper()
			var got []string
			for path, file := range d.look() {
				got = append(got, filepath.Base(path)+"="+string(file.Data))
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("different (-want +got):\n%s", diff)
			}
		}
		put("file", "1", old)
		look("file=1")
		if d.known[file].info != nil {
			t.Error("a young file is not read again")
		}
		time.Sleep(200 * 365 * 24 * time.Hour)
		look()
		if info := d.known[file].info; (info == nil) != changeTime(stat(t, file)).IsZero() {
			t.Errorf("of an old file, %v is kept", info)
		}
		kept := d.known[file].info
		if look(); d.known[file].info != kept {
			t.Error("an untouched file was read again")
		}
		put("file", "2", old) // in place, and set back
		look("file=2")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		put("file", "3", old) // with the same number, where the file system gives it again
		look("file=3")
		put("file", "4", old.Add(time.Second))
		look("file=4")
		put("file", "55", old.Add(time.Second))
		look("file=55")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		put("other", "66", old.Add(time.Second))
		look("file=", "other=66")
		put("new", "77", old.Add(time.Second))
		if err := os.Rename(filepath.Join(d.path, "new"), filepath.Join(d.path, "other")); err != nil {
			t.Fatal(err)
		}
		look("other=77")
		large := string(make([]byte, MaxSize+1))
		put("large", large, old)
		look("large=")
		if d.known[filepath.Join(d.path, "large")].info != nil {
			t.Error("a file that could not be read is not read again")
		}
	})
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
