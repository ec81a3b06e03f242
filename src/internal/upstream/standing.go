// SPDX-License-Identifier: Apache-2.0

package upstream

import "context"

// Credential reports whether there is a credential for the registry, and whether the registry refuses it
// whatever the repository. Where the registry does not tell, it is not refused.
func (r *Registry) Credential(ctx context.Context) (there, isRefused bool, err error) {
	credential, err := r.keychain.Credential(ctx, r.host)
	if err != nil || credential.Anonymous() {
		return false, false, err
	}
	if r.refusals.stands(credential) == unknown {
		if err := r.prove(ctx, credential); err != nil {
			return true, false, err
		}
	}
	return true, r.refusals.stands(credential) == refused, nil
}
