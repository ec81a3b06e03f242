// SPDX-License-Identifier: Apache-2.0

package dockerconfig

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
)

const remedy = `write it with "docker login" or "kubectl create secret docker-registry"`

// checkForm refuses what is no docker config at all; docker itself would take some of it for an empty config.
func checkForm(data []byte) error {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		return errors.New("is empty: " + remedy)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		if decoded, decodeErr := base64.StdEncoding.AppendDecode(nil, trimmed); decodeErr == nil && bytes.HasPrefix(bytes.TrimSpace(decoded), []byte("{")) {
			return errors.New("is base64 of a docker config: decode it once")
		}
		return explainJSON(data, err)
	}
	if top == nil {
		return errors.New(`is "null": ` + remedy)
	}
	for name := range top {
		for _, known := range []string{"auths", "credHelpers", "credsStore"} {
			if strings.EqualFold(name, known) {
				return nil
			}
		}
	}
	for _, value := range top {
		var legacy types.AuthConfig
		if json.Unmarshal(value, &legacy) == nil && (legacy.Auth != "" || legacy.Username != "") {
			return errors.New(`is in the old .dockercfg form: put its content under the key "auths", as type kubernetes.io/dockerconfigjson wants it`)
		}
	}
	return nil
}

// explain says why docker's code refused well-formed JSON: a value of the wrong type, or an "auth" that
// cannot be decoded.
func explain(data []byte, file *configfile.ConfigFile) error {
	if err := json.Unmarshal(data, configfile.New("")); err != nil {
		return explainJSON(data, err)
	}
	for _, name := range slices.Sorted(maps.Keys(file.AuthConfigs)) {
		auth := file.AuthConfigs[name].Auth
		if auth == "" { // also those that docker has decoded already
			continue
		}
		one, err := json.Marshal(map[string]any{"auths": map[string]any{name: map[string]string{"auth": auth}}})
		if err == nil {
			err = configfile.New("").LoadFromReader(bytes.NewReader(one))
		}
		if err != nil {
			return fmt.Errorf(`"auth" of %q is not base64 of "user:password": %s`, parseKey(name), remedy)
		}
	}
	return errors.New("is not understood: " + remedy)
}

func explainJSON(data []byte, err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line, column := position(data, syntax.Offset)
		return fmt.Errorf("line %d, column %d: not valid JSON (%s): correct it, or %s", line, column, syntax.Error(), remedy)
	}
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		line, column := position(data, mistyped.Offset)
		found, _, _ := strings.Cut(mistyped.Value, " ") // the rest may be the value itself
		wanted := "a string"
		switch mistyped.Type.Kind() {
		case reflect.Map, reflect.Struct:
			wanted = "an object"
		case reflect.Slice:
			wanted = "a list"
		}
		return fmt.Errorf("line %d, column %d: %s where %s is wanted: correct it, or %s", line, column, found, wanted, remedy)
	}
	return errors.New("is not a docker config: " + remedy)
}

// position turns the number of bytes that were read into line and column, both from 1.
func position(data []byte, offset int64) (line, column int) {
	before := data[:max(0, min(int(offset)-1, len(data)))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
}
