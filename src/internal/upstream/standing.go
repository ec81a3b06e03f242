// SPDX-License-Identifier: Apache-2.0

package upstream

import "context"

// Standing reports whether there is a credential for the registry, and what the registry thinks of it, or of
// strangers where there is none. What was learnt less than half a minute ago is not asked again. An error with
// [Unproven] is why it does not tell; with [Unknown], why it was not asked.
func (r *Registry) Standing(ctx context.Context) (there bool, s Standing, err error) {
	credential, err := r.keychain.Credential(ctx, r.host)
	if err != nil {
		return false, Unknown, &Refusal{Reason: "the credential for the registry could not be had", cause: err}
	}
	there = !credential.Anonymous()
	if s = r.refusals.stands(credential); s != Unknown {
		return there, s, nil
	}
	cause, err := r.prove(ctx, credential)
	if err != nil {
		return there, Unknown, err
	}
	return there, r.refusals.stands(credential), cause
}
