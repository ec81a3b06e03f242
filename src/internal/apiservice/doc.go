// SPDX-License-Identifier: Apache-2.0

// Package apiservice keeps up what the API server and the server of an aggregated API need of each other: who
// the API server is, by its own ConfigMap, and the certificate that the API server knows this server by.
//
// The first replica makes the certificate, with an authority for it, and puts both into a Secret that the package
// makes empty. The others read it. All of them renew it ahead of its end, restore the Secret when somebody
// deletes it, and write the authority into the APIService's caBundle when something else is there. No replica
// makes another's certificate invalid: the Secret decides, and its version tells who came first.
//
// It keeps one APIService and one Secret, whose names it is given, and knows nothing of what the API is for.
package apiservice
