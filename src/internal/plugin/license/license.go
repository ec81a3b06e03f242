// SPDX-License-Identifier: Apache-2.0

package license

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// CustomerKind is the kind of the file, with [v1alpha1.APIVersion].
const CustomerKind = "CustomerLicense"

// maxID is more than any known form of id needs.
const maxID = 512

// CustomerLicense is what a customer was given.
type CustomerLicense struct {
	// App is the slug of the application.
	App string
	// CustomerName and CustomerEmail are for people.
	CustomerName, CustomerEmail string
	// ID is the license id: the password of every pull.
	ID string
	// Expires is when the license ended at the time of writing; zero: never. The vendor may have changed it
	// since.
	Expires time.Time
	// Domain is where to pull from, as host or host:port; empty where the file does not say.
	Domain string
}

// file is the form in which a License is written.
type file struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       spec   `json:"spec"`
}

type spec struct {
	AppSlug       string `json:"appSlug"`
	CustomerName  string `json:"customerName,omitempty"`
	CustomerEmail string `json:"customerEmail,omitempty"`
	LicenseID     string `json:"licenseID"`
	ExpiresAt     string `json:"expiresAt,omitempty"`
	ProxyDomain   string `json:"proxyDomain,omitempty"`
}

// YAML writes the file, in a form that [Parse] reads.
func (l *CustomerLicense) YAML() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("write the customer's license file: %w", err)
	}
	f := file{APIVersion: v1alpha1.APIVersion, Kind: CustomerKind, Spec: spec{
		AppSlug: l.App, CustomerName: l.CustomerName, CustomerEmail: l.CustomerEmail, LicenseID: l.ID, ProxyDomain: l.Domain,
	}}
	if !l.Expires.IsZero() {
		f.Spec.ExpiresAt = l.Expires.UTC().Format(time.RFC3339)
	}
	raw, err := yaml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("write the customer's license file: %w", err)
	}
	return append([]byte("# Keep this file secret: whoever has it can pull the application's images.\n"), raw...), nil
}

func (l *CustomerLicense) check() error {
	if err := CheckApp(l.App); err != nil {
		return fmt.Errorf("appSlug: %w", err)
	}
	if err := checkID(l.ID); err != nil {
		return fmt.Errorf("licenseID: %w", err)
	}
	if l.Domain == "" {
		return nil
	}
	if err := CheckDomain(l.Domain); err != nil {
		return fmt.Errorf("proxyDomain: %w", err)
	}
	return nil
}

// CheckApp reports what is wrong with the slug of an application.
func CheckApp(slug string) error {
	switch {
	case slug == "":
		return errors.New("is missing")
	case len(validation.IsDNS1123Label(slug)) > 0:
		return errors.New("is not an application's slug: at most 63 lower-case letters, digits and dashes")
	default:
		return nil
	}
}

// CheckDomain reports what is wrong with a domain that images are to be pulled from. Without a dot or a port,
// clients would take it for a folder of Docker Hub.
func CheckDomain(domain string) error {
	switch {
	case !oci.IsHost(domain):
		return errors.New("is not a domain: write a host such as proxy.example.com, or host:port")
	case domain != "localhost" && !strings.ContainsAny(domain, ".:"):
		return errors.New("is not a domain that image names can begin with: it needs a dot or a port")
	default:
		return nil
	}
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("is missing")
	case len(id) > maxID:
		return fmt.Errorf("is longer than %d characters", maxID)
	case strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("has white space, or characters outside of ASCII")
	default:
		return nil
	}
}
