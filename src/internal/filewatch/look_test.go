// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLookReadsWhatLooksTouched: of many files, a change costs the reading of one. Whatever changes about a file makes it look
// touched, and one that is so young that it could change and look the same always does.
func TestLookReadsWhatLooksTouched(t *testing.T) {
	d := &dir{path: t.TempDir(), pick: func(string) bool { return true }, known: map[string]trace{}}
	old := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	young := time.Now().Add(time.Hour) // by the clock of another machine
	put := func(name, content string, modified time.Time) {
		t.Helper()
		path := filepath.Join(d.path, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, modified); err != nil {
			t.Fatal(err)
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
	put("young", "1", young)
	look("file=1", "young=1")
	put("file", "2", old) // in place, and set back: nobody could tell without reading
	put("young", "2", young)
	look("young=2")
	put("file", "3", old.Add(time.Second))
	look("file=3")
	put("file", "44", old.Add(time.Second))
	look("file=44")
	if err := os.Remove(filepath.Join(d.path, "file")); err != nil {
		t.Fatal(err)
	}
	put("other", "55", old.Add(time.Second))
	look("file=", "other=55")
	put("new", "66", old.Add(time.Second))
	if err := os.Rename(filepath.Join(d.path, "new"), filepath.Join(d.path, "other")); err != nil {
		t.Fatal(err)
	}
	look("other=66")
	large := string(make([]byte, MaxSize+1))
	put("large", large, old)
	look("large=")
	if d.known[filepath.Join(d.path, "large")].info != nil {
		t.Error("a file that could not be read is not read again")
	}
}
