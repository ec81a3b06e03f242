// SPDX-License-Identifier: Apache-2.0

package ambient_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/ambient"
)

const (
	host    = "123456789012.dkr.ecr.eu-west-3.amazonaws.com"
	role    = "arn:aws:iam::123456789012:role/push"
	expires = 1893456000 // 2030-01-01
	secret  = "ecr-password"
)

// aws stands in for STS, the pod identity agent, the instance's metadata service and ECR. Whoever asks
// properly becomes AKIDTEST; ECR answers nobody else.
type aws struct {
	t                *testing.T
	url              string
	stsError, ecrErr string // answer with this AWS error code instead
	token            string // ECR's answer; "": a good one

	mu    sync.Mutex
	calls []string
}

func start(t *testing.T) *aws {
	a := &aws{t: t, token: base64.StdEncoding.EncodeToString([]byte("AWS:" + secret))}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	for _, name := range os.Environ() {
		if name, value, _ := strings.Cut(name, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value) // restores it
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_ENDPOINT_URL_STS", a.url+"/sts")
	t.Setenv("AWS_ENDPOINT_URL_ECR", a.url+"/ecr")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", a.url)
	return a
}

func (a *aws) file(name, content string) string {
	path := filepath.Join(a.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

func (a *aws) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.calls = append(a.calls, r.Method+" "+r.URL.Path)
	a.mu.Unlock()
	temporary := map[string]string{
		"Code": "Success", "AccessKeyId": "AKIDTEST", "SecretAccessKey": "s", "Token": "session",
		"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /sts":
		a.sts(w, r)
	case "GET /podidentity":
		if r.Header.Get("Authorization") != "pod-token" {
			http.Error(w, "foreign pod", http.StatusForbidden)
			return
		}
		json.NewEncoder(w).Encode(temporary)
	case "PUT /latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "600")
		io.WriteString(w, "imds-token")
	case "GET /latest/meta-data/iam/security-credentials-extended/", "GET /latest/meta-data/iam/security-credentials/":
		io.WriteString(w, "push")
	case "GET /latest/meta-data/iam/security-credentials-extended/push", "GET /latest/meta-data/iam/security-credentials/push":
		if r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-token" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		json.NewEncoder(w).Encode(temporary)
	case "POST /ecr":
		a.ecr(w, r)
	case "POST /elsewhere":
		http.NotFound(w, r)
	default:
		a.t.Errorf("unexpected request: %s %s", r.Method, r.URL.Path)
		http.NotFound(w, r)
	}
}

func (a *aws) sts(w http.ResponseWriter, r *http.Request) {
	if a.stsError != "" {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>not yours</Message></Error><RequestId>id-1</RequestId></ErrorResponse>`, a.stsError)
		return
	}
	got := map[string]string{}
	for _, name := range []string{"Action", "RoleArn", "WebIdentityToken", "RoleSessionName"} {
		got[name] = r.FormValue(name)
	}
	want := map[string]string{"Action": "AssumeRoleWithWebIdentity", "RoleArn": role, "WebIdentityToken": "service-account-token", "RoleSessionName": "proxy"}
	if diff := cmp.Diff(want, got); diff != "" {
		a.t.Errorf("STS was asked otherwise: %s", diff)
	}
	if r.Header.Get("Authorization") != "" {
		a.t.Error("the request to STS is signed, although nobody has a key yet")
	}
	fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
		<Credentials><AccessKeyId>AKIDTEST</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration></Credentials>
		</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

func (a *aws) ecr(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if a.ecrErr != "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type": %q, "message": "no rights"}`, a.ecrErr)
		return
	}
	if got := r.Header.Get("X-Amz-Target"); got != "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" {
		a.t.Errorf("ECR was asked for %q", got)
	}
	signature, session := r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")
	if !strings.HasPrefix(signature, "AWS4-HMAC-SHA256 Credential=AKIDTEST/") || !strings.Contains(signature, "/eu-west-3/ecr/aws4_request") || session != "session" {
		a.t.Errorf("signed by somebody else, or for another region: %q, session %q", signature, session)
	}
	fmt.Fprintf(w, `{"authorizationData": [{"authorizationToken": %q, "expiresAt": %d, "proxyEndpoint": "https://%s"}]}`, a.token, expires, host)
}

func TestIdentities(t *testing.T) { // quirk A7
	tests := []struct {
		name  string
		setup func(*testing.T, *aws)
		calls []string
	}{
		{
			"IRSA",
			func(t *testing.T, a *aws) {
				t.Setenv("AWS_REGION", "us-east-1") // of the cluster: the registry's name counts for ECR
				t.Setenv("AWS_ROLE_ARN", role)
				t.Setenv("AWS_ROLE_SESSION_NAME", "proxy")
				t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", a.file("token", "service-account-token"))
			},
			[]string{"POST /sts", "POST /ecr"},
		},
		{
			"pod identity",
			func(t *testing.T, a *aws) {
				t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", a.url+"/podidentity")
				t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", a.file("token", "pod-token"))
			},
			[]string{"GET /podidentity", "POST /ecr"},
		},
		{"instance role", func(*testing.T, *aws) {}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := start(t)
			test.setup(t, a)
			got, err := ambient.Amazon().Credential(t.Context(), host)
			if err != nil {
				t.Fatal(err)
			}
			if got.Username != "AWS" || got.Password != secret || !got.Expires.Equal(time.Unix(expires, 0)) {
				t.Errorf("got user %q, password %q, expiry %v", got.Username, got.Password, got.Expires)
			}
			if test.calls != nil {
				if diff := cmp.Diff(test.calls, a.calls); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name  string
		setup func(*testing.T, *aws)
		want  string
	}{
		{
			"role does not trust us",
			func(t *testing.T, a *aws) { a.stsError = "AccessDenied" },
			"get an AWS identity: AccessDenied: not yours: give the ServiceAccount an IAM role that trusts it (IRSA or pod identity) or the machine an instance role, or use a docker config",
		},
		{
			"role may not use ECR",
			func(t *testing.T, a *aws) { a.ecrErr = "AccessDeniedException" },
			"get a token of ECR in eu-west-3: AccessDeniedException: no rights: allow the IAM role ecr:GetAuthorizationToken",
		},
		{
			"not AWS at all",
			func(t *testing.T, a *aws) { t.Setenv("AWS_ENDPOINT_URL_STS", a.url+"/elsewhere") },
			"get an AWS identity: failed to refresh cached credentials, failed to retrieve credentials, operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 404, api error UnknownError: UnknownError: give the ServiceAccount an IAM role that trusts it (IRSA or pod identity) or the machine an instance role, or use a docker config",
		},
		{
			"nonsense",
			func(t *testing.T, a *aws) { a.token = "@@" + secret },
			"read the token of ECR: it is not base64 of user:password: check what answers for ECR's endpoint",
		},
		{
			"bad settings",
			func(t *testing.T, a *aws) { t.Setenv("AWS_RETRY_MODE", "never") },
			"read the AWS settings: invalid AWS_RETRY_MODE value, unknown RetryMode, never: correct the AWS_… variables or files",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := start(t)
			t.Setenv("AWS_ROLE_ARN", role)
			t.Setenv("AWS_ROLE_SESSION_NAME", "proxy")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", a.file("token", "service-account-token"))
			test.setup(t, a)
			_, err := ambient.Amazon().Credential(t.Context(), host)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff("Amazon ECR, "+host+": "+test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAmazonMatch(t *testing.T) {
	ours := []string{
		host, strings.ToUpper(host),
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
		"123456789012.dkr-ecr.us-west-2.on.aws",
		"123456789012.dkr-ecr-fips.us-west-2.on.aws",
		"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
	}
	foreign := []string{
		"", "public.ecr.aws", "docker.io", host + ":5000", host + ".example.com", host + "\n", "x" + host,
		"12345.dkr.ecr.eu-west-3.amazonaws.com", "123456789012.dkr.ecr.eu-west-3.evilamazonaws.com",
		"123456789012.dkr.ecr.eu-west-3.amazonaws.com.", "123456789012.dkr.ecr.eu-west_3.amazonaws.com", "123456789012.dkr.ecr.-eu-.amazonaws.com",
		"123456789012.dkr.s3.eu-west-3.amazonaws.com", "123456789012.dkr.eu-west-3.amazonaws.com", "12345678901x.dkr.ecr.eu-west-3.amazonaws.com",
		"123456789012.dkr.ecr.eu-west-3.example.com", "123456789012.dkr.ecr..amazonaws.com", "123456789012.dkr.ecr.a.b-c.amazonaws.com",
	}
	for _, host := range ours {
		if !ambient.IsAmazon(host) {
			t.Errorf("%q does not match", host)
		}
	}
	for _, host := range foreign {
		if ambient.IsAmazon(host) {
			t.Errorf("%q matches", host)
		}
	}
}

func TestForeignHostIsAnonymousWithoutAsking(t *testing.T) {
	a := start(t)
	got, err := ambient.Amazon().Credential(t.Context(), "registry.example.com")
	if err != nil || got != (keychain.Credential{}) || len(a.calls) != 0 {
		t.Errorf("got %v, error %v, after %v", got, err, a.calls)
	}
}
