// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// handoutFlags say what a customer gets.
type handoutFlags struct {
	domain, file string
}

func (f *handoutFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.domain, "domain", "",
		"where the customer pulls from, such as proxy.example.com; the login line and the pull Secret need it")
	cmd.Flags().StringVar(&f.file, "license-file", "",
		"write the customer's license file here; the file must not exist yet")
	registerCompletion(cmd, "domain", cobra.NoFileCompletions)
	markPath(cmd, "license-file")
}

func (f *handoutFlags) validate() error {
	if f.domain == "" {
		return nil
	}
	if err := license.CheckDomain(f.domain); err != nil {
		return usageError{fmt.Errorf("--domain %q %w", f.domain, err)}
	}
	return nil
}

// handout is what a customer gets. It is the only thing that knows the id.
type handout struct {
	ID          string            `json:"id"`
	License     *v1alpha1.License `json:"license"`
	DockerLogin string            `json:"dockerLogin,omitempty"`
	PullSecret  *corev1.Secret    `json:"pullSecret,omitempty"`
	// LicenseFile is the text of the customer's license file.
	LicenseFile string `json:"licenseFile"`
}

// attempt tries what will be done with a license.
type attempt func(*v1alpha1.License) error

// handOut stores a license with a new id, and then shows the id. An id that was stored and not shown is lost,
// so everything that could keep it from being shown is tried first: the license file, and the attempt that
// store calls with the license as it is about to store it.
func (p *licensePlace) handOut(
	f *handoutFlags, output *format, id, what string, store func(attempt) (*v1alpha1.License, error),
) error {
	shown := p.out
	if output.value == "name" || output.value == "yaml" {
		shown = p.errOut
	}
	if f.file == "" && p.dryRunNote() == "" && leadsNowhere(shown) {
		return errors.New(
			"the license id would be lost, for the output it is printed on is closed, or is " + os.DevNull +
				": print it, or name a --license-file; nothing was changed")
	}
	file, err := p.openLicenseFile(f)
	if err != nil {
		return err
	}
	defer file.Close()
	l, err := store(func(l *v1alpha1.License) error {
		_, err := newHandout(id, l, f.domain)
		return err
	})
	if err != nil {
		return errors.Join(err, file.discard())
	}
	if p.dryRun == dryRunServer {
		return p.printChanged(output, l, what)
	}
	h, err := newHandout(id, l, f.domain)
	if err != nil {
		return err
	}
	p.remark(l)
	written := file.write(p, h.LicenseFile)
	err = p.printHandout(f, output, h, what)
	if err != nil && p.dryRunNote() == "" {
		err = fmt.Errorf("%w; %w", err, p.unprinted(l.Name, what, file.File != nil && written == nil, f.file))
	}
	return errors.Join(err, written)
}

// unprinted says what became of an id that was stored and could not be shown.
func (p *licensePlace) unprinted(name, what string, inFile bool, file string) error {
	if inFile {
		return fmt.Errorf(
			"license %s was %s, and its id, which could not be printed, is in %s", name, what, file)
	}
	return fmt.Errorf("license %s was %s, and its id could not be printed and is lost: run %s",
		name, what, p.command("rotate", name, "--now"))
}

// leadsNowhere reports whether what is written is gone. A closed descriptor is the null device by the time a
// Go program runs.
func leadsNowhere(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && os.SameFile(info, null)
}

// licenseFile is the customer's license file, which waits for its text; nil where none is wanted.
type licenseFile struct{ *os.File }

func (p *licensePlace) openLicenseFile(f *handoutFlags) (licenseFile, error) {
	if f.file == "" || p.dryRun == dryRunServer {
		return licenseFile{}, nil
	}
	file, err := os.OpenFile(f.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return licenseFile{}, fmt.Errorf(
			"--license-file %s exists already: name another file, or remove it", f.file)
	}
	if err != nil {
		return licenseFile{}, fmt.Errorf("make the customer's license file: %w", err)
	}
	return licenseFile{file}, nil
}

// discard removes the file.
func (f licenseFile) discard() error {
	if f.File == nil {
		return nil
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (f licenseFile) write(p *licensePlace, text string) error {
	if f.File == nil {
		return nil
	}
	_, err := f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the customer's license file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	p.say("Wrote the customer's license file %s.", f.Name())
	return nil
}

func newHandout(id string, l *v1alpha1.License, domain string) (*handout, error) {
	end, err := v1alpha1.ParseTime(l.Spec.ExpiresAt)
	if err != nil {
		return nil, fmt.Errorf("license %s: expiresAt %w", l.Name, err)
	}
	l = l.DeepCopy()
	l.APIVersion, l.Kind = v1alpha1.APIVersion, v1alpha1.LicenseKind
	h := &handout{ID: id, License: l}
	text, err := (&license.CustomerLicense{
		App: l.Spec.AppSlug, CustomerName: l.Spec.CustomerName, CustomerEmail: l.Spec.CustomerEmail,
		ID: id, Expires: end, Domain: domain,
	}).YAML()
	if err != nil {
		return nil, err
	}
	h.LicenseFile = string(text)
	if domain == "" {
		return h, nil
	}
	h.DockerLogin = fmt.Sprintf("docker login %s --username %s", domain, license.Username)
	h.PullSecret, err = license.PullSecret(l.Spec.AppSlug, id, domain)
	return h, err
}

// printHandout prints everything on standard output, unless that is for the object alone.
func (p *licensePlace) printHandout(f *handoutFlags, output *format, h *handout, what string) error {
	switch output.value {
	case "":
		return h.print(p.out, f, resourceName(h.License)+" "+what+p.dryRunNote())
	case "json":
		return output.print(p.app, h)
	case "name":
		if err := h.print(p.errOut, f, ""); err != nil {
			return err
		}
		return p.line(resourceName(h.License))
	default:
		if err := h.print(p.errOut, f, ""); err != nil {
			return err
		}
		text, err := v1alpha1.Marshal(h.License)
		if err != nil {
			return err
		}
		_, err = p.out.Write(text)
		return err
	}
}

// print writes for people.
func (h *handout) print(w io.Writer, f *handoutFlags, first string) error {
	var text strings.Builder
	if first != "" {
		fmt.Fprintf(&text, "%s\n\n", first)
	}
	fmt.Fprintf(&text, "The license id, shown this once (the object keeps its hash):\n\n%s\n", h.ID)
	if h.PullSecret != nil {
		secret, err := yaml.Marshal(h.PullSecret)
		if err != nil {
			return fmt.Errorf("print the pull Secret: %w", err)
		}
		fmt.Fprintf(&text, "\nTo log in (paste the id when docker asks for the password; so it stays out of the shell's history):\n\n%s\n", h.DockerLogin)
		fmt.Fprintf(&text, "\nThe pull Secret, for \"kubectl apply -f -\" in the namespace of the pods:\n\n%s", secret)
	} else {
		text.WriteString("\nWith --domain this also shows the login line and the pull Secret.\n")
	}
	if f.file == "" {
		fmt.Fprintf(&text, "\nThe customer's license file:\n\n%s", h.LicenseFile)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("print the license id: %w", err)
	}
	return nil
}
