// SPDX-License-Identifier: Apache-2.0

package oci

import "net/http"

// Code is the machine-readable part of an error, in capitals and underscores.
type Code string

// The codes of the distribution spec, and after the blank line those that a proxy needs besides.
const (
	BlobUnknown         Code = "BLOB_UNKNOWN"
	BlobUploadInvalid   Code = "BLOB_UPLOAD_INVALID"
	BlobUploadUnknown   Code = "BLOB_UPLOAD_UNKNOWN"
	DigestInvalid       Code = "DIGEST_INVALID"
	ManifestBlobUnknown Code = "MANIFEST_BLOB_UNKNOWN"
	ManifestInvalid     Code = "MANIFEST_INVALID"
	ManifestUnknown     Code = "MANIFEST_UNKNOWN"
	NameInvalid         Code = "NAME_INVALID"
	NameUnknown         Code = "NAME_UNKNOWN"
	SizeInvalid         Code = "SIZE_INVALID"
	Unauthorized        Code = "UNAUTHORIZED"
	Denied              Code = "DENIED"
	Unsupported         Code = "UNSUPPORTED"
	TooManyRequests     Code = "TOOMANYREQUESTS"

	// RangeInvalid: a chunk that does not begin where the upload stands.
	RangeInvalid Code = "RANGE_INVALID"
	// PathUnknown: a path that the distribution API does not have.
	PathUnknown Code = "PATH_UNKNOWN"
	// BodyTooLarge: something on the way takes no body of this size.
	BodyTooLarge Code = "BODY_TOO_LARGE"
	// HeaderTooLarge: the header of a request is larger than the proxy reads.
	HeaderTooLarge Code = "HEADER_TOO_LARGE"
	// RequestTimeout: the client sent nothing of its request for a while.
	RequestTimeout Code = "REQUEST_TIMEOUT"
	// Misconfigured: the operator has to mend the proxy's settings.
	Misconfigured Code = "MISCONFIGURED"
	// Unavailable: the upstream registry could not be reached or gave no usable answer.
	Unavailable Code = "UNAVAILABLE"
	// UpstreamTimeout: the upstream registry did not answer in time.
	UpstreamTimeout Code = "UPSTREAM_TIMEOUT"
	// ClientClosed: the client went away; the status is for the log only.
	ClientClosed Code = "CLIENT_CLOSED_REQUEST"
	// Unknown: anything else.
	Unknown Code = "UNKNOWN"
)

// Codes returns every code, in the order of the reference page (bundle/errors.md).
func Codes() []Code {
	return []Code{
		BlobUnknown, BlobUploadInvalid, BlobUploadUnknown, DigestInvalid, ManifestBlobUnknown, ManifestInvalid,
		ManifestUnknown, NameInvalid, NameUnknown, SizeInvalid, Unauthorized, Denied, Unsupported, TooManyRequests,
		RangeInvalid, PathUnknown, BodyTooLarge, HeaderTooLarge, RequestTimeout, Misconfigured, Unavailable,
		UpstreamTimeout, ClientClosed, Unknown,
	}
}

// Meaning says in a sentence what the code means; "" for one that is not in the table.
func (c Code) Meaning() string {
	return map[Code]string{
		BlobUnknown:         "The repository has no such blob.",
		BlobUploadInvalid:   "The request does not fit the upload.",
		BlobUploadUnknown:   "There is no such upload, or it has expired: begin again.",
		DigestInvalid:       "The digest is none, or is not that of the content.",
		ManifestBlobUnknown: "The manifest names a blob that the repository does not have: push that first.",
		ManifestInvalid:     "The registry does not take the manifest.",
		ManifestUnknown:     "The repository has no such manifest or tag.",
		NameInvalid:         "The name of the repository does not follow the specification's grammar.",
		NameUnknown:         "There is no such repository.",
		SizeInvalid:         "The length is not that of the content.",
		Unauthorized:        "Credentials, a license or a token are missing, wrong or have ended.",
		Denied:              "The operation is not allowed here. The message says which setting or right would.",
		Unsupported:         "The method or operation is not available.",
		TooManyRequests:     "Too many requests. `Retry-After` says when to come again.",
		RangeInvalid:        "The chunk does not begin where the upload stands. `Range` says where that is.",
		PathUnknown:         "The distribution API has no such path.",
		BodyTooLarge:        "Something on the way takes no body of this size.",
		HeaderTooLarge:      "The header of the request is larger than the proxy reads.",
		RequestTimeout:      "The client sent nothing of its request for a minute.",
		Misconfigured:       "The operator has to mend the proxy's settings. The log says which.",
		Unavailable:         "The registry could not be reached, or its answer was no usable one. With 503, the proxy is full for now.",
		UpstreamTimeout:     "The registry did not answer in time.",
		ClientClosed:        "The client went away. The status is for the log only.",
		Unknown:             "Anything else. The proxy's log has the cause under the request's id.",
	}[c]
}

// Status returns the HTTP status of the code; a code that is not in the table is an internal error.
func (c Code) Status() int {
	switch c {
	case BlobUnknown, BlobUploadUnknown, ManifestUnknown, NameUnknown, PathUnknown:
		return http.StatusNotFound
	case ManifestBlobUnknown:
		return http.StatusNotFound
	case BlobUploadInvalid, DigestInvalid, ManifestInvalid, NameInvalid, SizeInvalid:
		return http.StatusBadRequest
	case Unauthorized:
		return http.StatusUnauthorized
	case Denied:
		return http.StatusForbidden
	case Unsupported:
		return http.StatusMethodNotAllowed
	case TooManyRequests:
		return http.StatusTooManyRequests
	case RangeInvalid:
		return http.StatusRequestedRangeNotSatisfiable
	case BodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case HeaderTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge
	case RequestTimeout:
		return http.StatusRequestTimeout
	case Unavailable:
		return http.StatusBadGateway
	case UpstreamTimeout:
		return http.StatusGatewayTimeout
	case ClientClosed:
		return 499
	default:
		return http.StatusInternalServerError
	}
}
