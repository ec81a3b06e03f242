// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// maxFile is the size of the largest file that is looked at.
const maxFile = 1 << 20

// ParseCustomerLicense reads a license file: ours, of which every key is checked, or the License of
// kots.io/v1beta1 and v1beta2, of which those that matter here are. The place is the file's name, for errors only. An
// error is one line and holds no value of the file.
func ParseCustomerLicense(place string, data []byte) (*CustomerLicense, error) {
	l, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("license file %s: %w", place, err)
	}
	return l, nil
}

// ParseID reads a file with nothing but a license id in it.
func ParseID(place string, data []byte) (string, error) {
	id := string(bytes.TrimSpace(data))
	if err := checkID(id); err != nil {
		return "", fmt.Errorf("license id file %s: the id %w; the file holds the id and nothing else", place, err)
	}
	return id, nil
}

func parse(data []byte) (*CustomerLicense, error) {
	if len(data) > maxFile {
		return nil, errors.New("is larger than 1 MiB, so it is no license file")
	}
	root, err := document(data)
	if err != nil {
		return nil, err
	}
	fields, err := mapping(root, "")
	if err != nil {
		return nil, err
	}
	apiVersion, err := fields.text("apiVersion")
	if err != nil {
		return nil, err
	}
	kind, err := fields.text("kind")
	if err != nil {
		return nil, err
	}
	switch apiVersion.value + " " + kind.value {
	case v1alpha1.APIVersion + " " + CustomerKind:
		return parseOurs(fields)
	case "kots.io/v1beta1 License", "kots.io/v1beta2 License":
		return parseKots(fields)
	case v1alpha1.APIVersion + " " + v1alpha1.LicenseKind:
		return nil, at(kind.line, "kind",
			errors.New("is the vendor's own object, which does not have the license id; the file for customers has kind "+CustomerKind))
	default:
		return nil, at(root.Line, "apiVersion and kind",
			errors.New("are of no license file: "+v1alpha1.APIVersion+" "+CustomerKind+", or License of kots.io/v1beta1 or v1beta2"))
	}
}

func parseOurs(root object) (*CustomerLicense, error) {
	if err := root.only("apiVersion", "kind", "metadata", "spec"); err != nil {
		return nil, err
	}
	spec, err := root.object("spec")
	if err != nil {
		return nil, err
	}
	if err := spec.only("appSlug", "customerName", "customerEmail", "licenseID", "expiresAt", "proxyDomain"); err != nil {
		return nil, err
	}
	return read(spec, "proxyDomain", spec, "expiresAt")
}

func parseKots(root object) (*CustomerLicense, error) {
	spec, err := root.object("spec")
	if err != nil {
		return nil, err
	}
	end, domainKey := spec, "replicatedProxyDomain"
	if !spec.has(domainKey) {
		domainKey = "proxyDomain" // as in ours
	}
	for _, key := range []string{"entitlements", "expires_at"} {
		if !end.has(key) {
			return read(spec, domainKey, object{}, "value")
		}
		if end, err = end.object(key); err != nil {
			return nil, err
		}
	}
	return read(spec, domainKey, end, "value")
}

// read takes what both forms have. The domain, and when the license ends, stand elsewhere in each.
func read(spec object, domainKey string, end object, endKey string) (*CustomerLicense, error) {
	var l CustomerLicense
	for _, field := range []struct {
		key   string
		into  *string
		check func(string) error
	}{
		{"appSlug", &l.App, CheckApp},
		{"customerName", &l.CustomerName, nil},
		{"customerEmail", &l.CustomerEmail, nil},
		{"licenseID", &l.ID, checkID},
		{domainKey, &l.Domain, func(s string) error {
			if s == "" {
				return nil
			}
			return CheckDomain(s)
		}},
	} {
		found, err := spec.text(field.key)
		if err != nil {
			return nil, err
		}
		if field.check != nil {
			if err := field.check(found.value); err != nil {
				return nil, at(found.line, spec.path+"."+field.key, err)
			}
		}
		*field.into = found.value
	}
	expires, err := end.text(endKey)
	if err != nil || expires.value == "" {
		return &l, err
	}
	if l.Expires, err = time.Parse(time.RFC3339, expires.value); err != nil {
		return nil, at(expires.line, end.path+"."+endKey, errors.New("is not a time such as 2027-01-01T00:00:00Z"))
	}
	return &l, nil
}

// document is the root of the only YAML document.
func document(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("is empty")
	case err != nil:
		return nil, notYAML(data, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, at(second.Line, "", errors.New("a second YAML document: keep one license in a file"))
	case !errors.Is(err, io.EOF):
		return nil, notYAML(data, err)
	}
	return first.Content[0], nil
}
