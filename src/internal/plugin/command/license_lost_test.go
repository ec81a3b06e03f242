// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// full is a disk that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestLicenseIDThatCannotBePrinted: the license is stored by then, so that the error has to say how to get an
// id.
func TestLicenseIDThatCannotBePrinted(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		file := filepath.Join(t.TempDir(), "acme.yml")
		where := strings.Join(s.flags, " ")
		for _, tt := range []struct {
			args []string
			want string
		}{
			{[]string{"create", "--app", "shop", "--customer", "Acme"}, "license acme was created, and its id could not be printed and is lost: run kubectl lsp license rotate acme --now " + where},
			{[]string{"rotate", "acme", "-o", "json"}, "license acme was rotated, and its id could not be printed and is lost: run kubectl lsp license rotate acme --now " + where},
			{[]string{"rotate", "acme", "--license-file", file}, "license acme was rotated, and its id, which could not be printed, is in " + file},
		} {
			var errOut bytes.Buffer
			args := append(append([]string{"license"}, tt.args...), s.flags...)
			code := Run(t.Context(), args, strings.NewReader(""), full{}, &errOut)
			if code != 1 || !strings.Contains(errOut.String(), strings.TrimSpace(tt.want)) || !strings.Contains(errOut.String(), "no space left") {
				t.Errorf("%v: exit code %d\n%s(want %s)", tt.args, code, errOut.String(), tt.want)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), "licenseID: ") {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// TestLicenseIDToNowhere: a closed standard output is the null device in a Go program; nothing is stored
// there either.
func TestLicenseIDToNowhere(t *testing.T) {
	shops(t, func(t *testing.T, s *shop) {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		create := append([]string{"license", "create", "--app", "shop", "--customer", "Acme"}, s.flags...)
		var errOut bytes.Buffer
		code := Run(t.Context(), create, strings.NewReader(""), null, &errOut)
		if code != 1 || s.stored("acme") != nil || !strings.Contains(errOut.String(), "the license id would be lost") {
			t.Errorf("exit code %d, stored %v\n%s", code, s.stored("acme"), errOut.String())
		}
		made := s.license("create", "--app", "shop", "--customer", "Acme", "-o", "json")
		before := s.stored("acme").Spec.Credentials
		code = Run(t.Context(), append([]string{"license", "rotate", "acme"}, s.flags...), strings.NewReader(""), null, &errOut)
		if after := s.stored("acme").Spec.Credentials; made.code != 0 || code != 1 || len(after) != 1 || after[0] != before[0] {
			t.Errorf("exit code %d, %+v", code, after)
		}
		// The id is on standard error, or in a file: nothing is lost.
		errOut.Reset()
		code = Run(t.Context(), append(create, "-o", "name"), strings.NewReader(""), null, &errOut)
		if l := s.stored("acme-2"); code != 0 || l == nil || !strings.Contains(errOut.String(), "The license id") {
			t.Errorf("exit code %d\n%s", code, errOut.String())
		}
		code = Run(t.Context(), append(create, "--license-file", filepath.Join(t.TempDir(), "acme.yml")), strings.NewReader(""), null, &errOut)
		if code != 0 || s.stored("acme-3") == nil {
			t.Errorf("exit code %d\n%s", code, errOut.String())
		}
	})
}
