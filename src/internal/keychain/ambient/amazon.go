// SPDX-License-Identifier: Apache-2.0

package ambient

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
)

// unknown is the SDK's code for an answer without one.
const unknown = "UnknownError"

// Amazon returns the keychain of ECR. It does nothing until it is asked for a registry of ECR; other hosts
// are anonymous.
//
// Endpoints, proxies and sources of identity are those of the SDK's environment (AWS_…). The region of ECR is
// the one in the registry's name, that of STS is AWS_REGION where it is set.
func Amazon() keychain.Keychain {
	return keychain.Match(IsAmazon, keychain.Func(credential))
}

func credential(ctx context.Context, host string) (keychain.Credential, error) {
	r, _ := parse(host)
	cfg, err := config.LoadDefaultConfig(ctx, config.WithDefaultRegion(r.region), config.WithLogger(logging.Nop{}))
	if err != nil {
		return keychain.Credential{}, amazonError(host, "read the AWS settings", err, "correct the AWS_… variables or files")
	}
	identity, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return keychain.Credential{}, amazonError(host, "get an AWS identity", err,
			"give the ServiceAccount an IAM role that trusts it (IRSA or pod identity) or the machine an instance role, or use a docker config")
	}
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return identity, nil })
	client := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		o.Region = r.region
		if r.fips {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if r.dualStack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
	answer, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return keychain.Credential{}, amazonError(host, "get a token of ECR in "+r.region, err,
			"allow the IAM role ecr:GetAuthorizationToken")
	}
	return decode(host, answer)
}

func decode(host string, answer *ecr.GetAuthorizationTokenOutput) (keychain.Credential, error) {
	for _, data := range answer.AuthorizationData {
		pair, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
		if err != nil {
			break
		}
		if user, password, ok := strings.Cut(string(pair), ":"); ok && user != "" && password != "" {
			return keychain.Credential{Username: user, Password: password, Expires: aws.ToTime(data.ExpiresAt)}, nil
		}
	}
	return keychain.Credential{}, amazonError(host, "read the token of ECR",
		errors.New("it is not base64 of user:password"), "check what answers for ECR's endpoint")
}

// amazonError prefers what AWS answered to the SDK's account of how it was asked.
func amazonError(host, step string, err error, remedy string) error {
	cause := withoutRequestID(keychain.OneLineError(err))
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != unknown {
		cause = keychain.Text(api.ErrorCode() + ": " + api.ErrorMessage())
	}
	return &keychain.Error{Cloud: "Amazon ECR", Host: host, Step: step, Cause: cause, Remedy: remedy, Err: err}
}

func withoutRequestID(s string) string {
	before, after, ok := strings.Cut(s, " RequestID: ")
	if !ok {
		return s
	}
	_, after, _ = strings.Cut(after, ",")
	return before + after
}
