// SPDX-License-Identifier: Apache-2.0

// Package ambient takes the identity that a cloud has assigned to the machine, for the registries of that cloud.
//
// It is the only package that knows the three clouds' libraries. It does nothing for the registries of
// others, because a cloud's first token opens more than registries. It keeps no state: each question runs
// the whole chain, so a new role counts at once. [New] wraps each keychain in [keychain.Cached].
//
// Amazon ECR sells a password of 12 hours for a signed request (quirk A7): IRSA, EKS pod identity, an
// instance role, or the SDK's variables and files. Google's registries take an access token as the password
// of a fixed user: application default credentials, gcloud's own file, or the metadata server. Azure trades
// a token of Microsoft Entra ID for a refresh token of about three hours (quirk A6): workload identity,
// managed identity, a service principal, or the command-line tools.
package ambient
