// SPDX-License-Identifier: Apache-2.0

package ambient

import "strings"

// registry is what the name of a private ECR registry says.
type registry struct {
	region          string
	fips, dualStack bool
}

// IsAmazon reports whether the host is a private Amazon ECR registry. The public gallery, public.ecr.aws, is
// another service.
func IsAmazon(host string) bool {
	_, ok := parse(host)
	return ok
}

// parse takes <account>.dkr.ecr[-fips].<region>.<domain> and, for the dual-stack domains,
// <account>.dkr-ecr[-fips].<region>.<domain>. The account has 12 digits; the domain depends on the partition.
func parse(host string) (registry, bool) {
	account, rest, _ := strings.Cut(strings.ToLower(host), ".")
	if len(account) != 12 || strings.Trim(account, "0123456789") != "" {
		return registry{}, false
	}
	if old, ok := strings.CutPrefix(rest, "dkr."); ok {
		rest = "dkr-" + old
	}
	service, rest, _ := strings.Cut(rest, ".")
	region, domain, _ := strings.Cut(rest, ".")
	r := registry{region: region, fips: service == "dkr-ecr-fips"}
	switch domain {
	case "on.aws", "on.amazonwebservices.com.cn":
		r.dualStack = true
	case "amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "cloud.adc-e.uk", "csp.hci.ic.gov":
	default:
		return registry{}, false
	}
	return r, (service == "dkr-ecr" || r.fips) && isRegion(region)
}

// isRegion takes letters and digits with dashes between them: the SDK builds host names from it.
func isRegion(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	return strings.Contains(s, "-") && s == strings.Trim(s, "-") && strings.Trim(s, letters+"-") == ""
}
