// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

const (
	// part is the size of a part of a large object, in bytes. Ten thousand of them are 640 GiB.
	part = 64 << 20
	// googleEndpoint takes the requests of S3 (Cloud Storage, "XML API").
	googleEndpoint = "https://storage.googleapis.com"
	googleScope    = "https://www.googleapis.com/auth/devstorage.read_write"
)

// s3Bucket is a bucket that speaks S3: Amazon's, Google's, or that of another server.
type s3Bucket struct {
	client *s3.Client
	name   string
	// signs: there is a key to sign URLs with.
	signs bool
}

// openS3 opens s3://BUCKET. Its query may have region, endpoint, profile, use_path_style and disable_https.
// Everything else is as the SDK finds it in its environment (AWS_…), the identity too.
func openS3(ctx context.Context, u *url.URL) (place, error) {
	query, err := only(u, "region", "endpoint", "profile", "use_path_style", "s3ForcePathStyle", "disable_https")
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}), config.WithDefaultRegion("us-east-1"),
		config.WithSharedConfigProfile(query.Get("profile")), config.WithRegion(query.Get("region")))
	if err != nil {
		return nil, fmt.Errorf("read the AWS settings: %w", err)
	}
	pathStyle, err := boolOf(query, "use_path_style", "s3ForcePathStyle")
	if err != nil {
		return nil, err
	}
	insecure, err := boolOf(query, "disable_https")
	if err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = pathStyle
		o.EndpointOptions.DisableHTTPS = insecure
		if endpoint := query.Get("endpoint"); endpoint != "" {
			o.BaseEndpoint = aws.String(withScheme(endpoint, insecure))
			// Other servers may not know the newer checksums.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	return &s3Bucket{client: client, name: u.Host, signs: true}, nil
}

// openGoogle opens gs://BUCKET. With AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which hold an HMAC key, it can
// sign URLs. Without, it uses Google's ambient identity.
func openGoogle(ctx context.Context, u *url.URL) (place, error) {
	query, err := only(u, "endpoint")
	if err != nil {
		return nil, err
	}
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	b := &s3Bucket{name: u.Host, signs: id != "" && secret != ""}
	options := s3.Options{
		Region: "auto", BaseEndpoint: aws.String(cmp.Or(query.Get("endpoint"), googleEndpoint)), UsePathStyle: true,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		Logger:                     logging.Nop{},
	}
	if b.signs {
		options.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
		})
		options.HTTPSignerV4 = unencoded{v4.NewSigner()}
	} else {
		found, err := google.FindDefaultCredentials(context.WithoutCancel(ctx), googleScope)
		if err != nil {
			return nil, fmt.Errorf("find a Google identity for the bucket: %w", err)
		}
		options.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "ambient", SecretAccessKey: "ambient"}, nil // not shown to anybody
		})
		options.HTTPSignerV4 = bearer{found.TokenSource}
	}
	b.client = s3.New(options)
	return b, nil
}

// unencoded leaves Accept-Encoding out of what is signed: Google's servers change that header.
type unencoded struct{ s3.HTTPSignerV4 }

// SignHTTP implements [s3.HTTPSignerV4].
func (u unencoded) SignHTTP(
	ctx context.Context, keys aws.Credentials, r *http.Request, payload, service, region string, at time.Time,
	options ...func(*v4.SignerOptions),
) error {
	r.Header.Del("Accept-Encoding")
	return u.HTTPSignerV4.SignHTTP(ctx, keys, r, payload, service, region, at, options...)
}

// bearer shows an access token in place of a signature.
type bearer struct{ tokens oauth2.TokenSource }

// SignHTTP implements [s3.HTTPSignerV4].
func (b bearer) SignHTTP(
	_ context.Context, _ aws.Credentials, r *http.Request, _, _, _ string, _ time.Time, _ ...func(*v4.SignerOptions),
) error {
	token, err := b.tokens.Token()
	if err != nil {
		return fmt.Errorf("get an access token of Google: %w", err)
	}
	token.SetAuthHeader(r)
	return nil
}

func (b *s3Bucket) open(ctx context.Context, key string, from int64) (io.ReadCloser, int64, error) {
	input := &s3.GetObjectInput{Bucket: &b.name, Key: &key}
	if from > 0 {
		input.Range = aws.String(fmt.Sprintf("bytes=%d-", from))
	}
	output, err := b.client.GetObject(ctx, input)
	if err != nil {
		return nil, 0, s3Error(err)
	}
	size := aws.ToInt64(output.ContentLength)
	if _, total, found := strings.Cut(aws.ToString(output.ContentRange), "/"); found {
		if size, err = strconv.ParseInt(total, 10, 64); err != nil {
			_ = output.Body.Close()
			return nil, 0, fmt.Errorf("read the length of an object: %w", err)
		}
	}
	return output.Body, size, nil
}

// s3Error tells what is not there from what is wrong.
func s3Error(err error) error {
	if answered, ok := errors.AsType[smithy.APIError](err); ok {
		switch answered.ErrorCode() {
		case "NoSuchKey", "NotFound":
			return cache.ErrNotKept
		}
	}
	return err
}

func (b *s3Bucket) put(ctx context.Context, key string, content *io.SectionReader) error {
	if content.Size() > part {
		return b.putParts(ctx, key, content)
	}
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, Body: content, ContentLength: aws.Int64(content.Size()), ContentType: aws.String(octets),
	})
	return err
}

// putParts sends a large object one part after the other. It is there once all of them are.
func (b *s3Bucket) putParts(ctx context.Context, key string, content *io.SectionReader) error {
	started, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.name, Key: &key, ContentType: aws.String(octets),
	})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for at := int64(0); at < content.Size(); at += part {
		number := aws.Int32(int32(len(parts) + 1)) //nolint:gosec // ten thousand at most
		sent, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &b.name, Key: &key, UploadId: started.UploadId, PartNumber: number,
			Body: io.NewSectionReader(content, at, min(part, content.Size()-at)),
		})
		if err != nil {
			return errors.Join(err, b.abort(ctx, key, started.UploadId))
		}
		parts = append(parts, types.CompletedPart{PartNumber: number, ETag: sent.ETag})
	}
	_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &b.name, Key: &key, UploadId: started.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return errors.Join(err, b.abort(ctx, key, started.UploadId))
	}
	return nil
}

// abort removes the parts of an upload that came to nothing.
func (b *s3Bucket) abort(ctx context.Context, key string, upload *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookLimit)
	defer cancel()
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: &key, UploadId: upload})
	return err
}

func (b *s3Bucket) remove(ctx context.Context, key string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	return s3Error(err)
}

func (b *s3Bucket) sign(ctx context.Context, key string) (string, error) {
	if !b.signs {
		return "", errNoURL
	}
	signed, err := s3.NewPresignClient(b.client, s3.WithPresignExpires(urlLife)).
		PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return "", err
	}
	return signed.URL, nil
}

func (*s3Bucket) close() error { return nil }

// withScheme completes an endpoint that is a host alone.
func withScheme(endpoint string, insecure bool) string {
	switch {
	case strings.Contains(endpoint, "://"):
		return endpoint
	case insecure:
		return "http://" + endpoint
	default:
		return "https://" + endpoint
	}
}

// only returns the query of a URL, if it has these parameters and no others.
func only(u *url.URL, names ...string) (url.Values, error) {
	query := u.Query()
	for name := range query {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%s:// has no parameter %q: it has %s", u.Scheme, name, strings.Join(names, ", "))
		}
	}
	return query, nil
}

// boolOf reads the first of these parameters that is there; none is false.
func boolOf(query url.Values, names ...string) (bool, error) {
	for _, name := range names {
		if query.Has(name) {
			value, err := parseBool(query.Get(name))
			if err != nil {
				return false, fmt.Errorf("%s=%s: %w", name, query.Get(name), err)
			}
			return value, nil
		}
	}
	return false, nil
}
