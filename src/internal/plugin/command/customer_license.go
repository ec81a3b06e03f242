// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// customerLicenseFlags say with which license images are pulled, and from where.
type customerLicenseFlags struct {
	file, idFile           string
	domain, registryDomain string
}

func (l *customerLicenseFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&l.file, "license-file", "",
		"the customer's license file: CustomerLicense, or License of kots.io/v1beta1 or v1beta2")
	flags.StringVar(&l.idFile, "license-id-file", "", "file with the license id and nothing else")
	flags.StringVar(&l.domain, "proxy-domain", "", "domain of the image proxy, as host or host:port")
	flags.StringVar(&l.registryDomain, "registry-domain", "",
		"domain of a registry that takes the same license")
	markPath(cmd, "license-file")
	markPath(cmd, "license-id-file")
}

func (l *customerLicenseFlags) validate() error {
	if (l.file == "") == (l.idFile == "") {
		return usageError{errors.New("name the license by --license-file or by --license-id-file")}
	}
	for _, flag := range []struct{ name, domain string }{
		{"--proxy-domain", l.domain}, {"--registry-domain", l.registryDomain},
	} {
		if flag.domain == "" {
			continue
		}
		if err := license.CheckDomain(flag.domain); err != nil {
			return usageError{fmt.Errorf("%s %q %w", flag.name, flag.domain, err)}
		}
	}
	return nil
}

// load reads the license. A bare id says neither whose license it is nor when it ends.
func (l *customerLicenseFlags) load() (*license.CustomerLicense, error) {
	path := l.file
	if path == "" {
		path = l.idFile
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the license: %w", err)
	}
	if l.file != "" {
		return license.ParseCustomerLicense(path, content)
	}
	id, err := license.ParseID(path, content)
	return &license.CustomerLicense{ID: id}, err
}

// licenseWarnings are about a license that may not be what its user thinks.
func licenseWarnings(license *license.CustomerLicense, app string) []string {
	var all []string
	if !license.Expires.IsZero() && time.Now().After(license.Expires) {
		ended := license.Expires.UTC().Format(time.RFC3339)
		all = append(all, "the license ended on "+ended+": the proxy refuses pulls unless the vendor has extended it since")
	}
	if license.App != "" && app != "" && license.App != app {
		all = append(all, fmt.Sprintf("the license is for the application %s, and not for %s: the proxy will refuse pulls", license.App, app))
	}
	return all
}
