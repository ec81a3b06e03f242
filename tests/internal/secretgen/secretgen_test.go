// SPDX-License-Identifier: Apache-2.0

package secretgen_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/secretgen"
)

// cluster has a Secret for one host beside each export, with the export's name as the user.
func cluster(exports ...secretgen.Export) secretgen.Cluster {
	c := secretgen.Cluster{Exports: exports, Excluded: []string{"excluded"}}
	for _, export := range exports {
		config := fmt.Sprintf(`{"auths":{"registry":{"username":%q},"%[1]s":{"username":%[1]q}}}`, export.Name)
		c.Secrets = append(c.Secrets, secretgen.Secret{
			Namespace: export.Namespace, Name: export.Name, Type: secretgen.DockerConfig,
			Data: map[string][]byte{".dockerconfigjson": []byte(config)},
		})
	}
	return c
}

// The order that the controller's own doc comment of MatchedSecretsForImport has, and its tests.
func TestPreferences(t *testing.T) {
	export := func(namespace, name, to, weight string) secretgen.Export {
		return secretgen.Export{Namespace: namespace, Name: name, To: []string{to}, Weight: weight}
	}
	for name, c := range map[string]struct {
		exports []secretgen.Export
		want    string
	}{
		"by name before by *":             {[]secretgen.Export{export("a", "named", "to", ""), export("z", "all", "*", "")}, "named"},
		"a weight before a name":          {[]secretgen.Export{export("a", "named", "to", ""), export("a", "all", "*", "0.5")}, "all"},
		"a lower weight":                  {[]secretgen.Export{export("a", "named", "to", "-1"), export("a", "all", "*", "")}, "all"},
		"a weight that is none":           {[]secretgen.Export{export("a", "named", "to", ""), export("a", "all", "*", "high")}, "named"},
		"the same namespace before names": {[]secretgen.Export{export("a", "named", "to", ""), export("to", "own", "*", "")}, "own"},
		"else by namespace and name":      {[]secretgen.Export{export("b", "last", "to", ""), export("a", "zz", "to", "")}, "last"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := cluster(c.exports...).Combined("to")
			for host, user := range map[string]string{"registry": c.want, c.exports[0].Name: c.exports[0].Name, c.exports[1].Name: c.exports[1].Name} {
				if entry := fmt.Sprintf(`%q:{"username":%q,`, host, user); err != nil || !strings.Contains(string(got), entry) {
					t.Errorf("%v: %s, want %s", err, got, entry)
				}
			}
		})
	}
}

func TestWhoGetsWhat(t *testing.T) {
	c := cluster(secretgen.Export{Namespace: "from", Name: "a", To: []string{"x", "y"}}, secretgen.Export{Namespace: "from", Name: "b", To: []string{"*"}})
	c.Exports = append(c.Exports, secretgen.Export{Namespace: "from", Name: "gone", To: []string{"*"}})
	for _, want := range []struct {
		namespace, name, from string
		err                   error
	}{
		{"x", "a", "from", nil},
		{"y", "a", "from", nil},
		{"z", "a", "from", secretgen.ErrNoExport},
		{"z", "b", "from", nil},
		{"z", "b", "elsewhere", secretgen.ErrNoExport},
		{"excluded", "b", "from", secretgen.ErrNoExport},
		{"x", "misspelt", "from", secretgen.ErrNoExport},
		{"x", "gone", "from", secretgen.ErrNoExport},
	} {
		if _, err := c.Imported(want.namespace, want.name, want.from); !errors.Is(err, want.err) {
			t.Errorf("%s/%s from %s: %v, want %v", want.namespace, want.name, want.from, err, want.err)
		}
	}
	if _, err := c.Exported(c.Exports[2]); !errors.Is(err, secretgen.ErrNoSecret) {
		t.Errorf("an export without a Secret: %v", err)
	}
	if config, err := c.Combined("excluded"); err != nil || string(config) != `{"auths":{}}` {
		t.Errorf("nothing is exported there: %v, %s", err, config)
	}
}
