// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

// azureContainer is a container of Azure Blob Storage.
type azureContainer struct {
	client *container.Client
	// signs: there is a key to sign URLs with.
	signs bool
}

// openAzure opens azblob://CONTAINER. AZURE_STORAGE_ACCOUNT, or storage_account in the query, names the account.
// AZURE_STORAGE_KEY opens it, or else AZURE_STORAGE_SAS_TOKEN, or else Azure's ambient identity. endpoint in the
// query is the account's URL, where it is another than Azure's.
func openAzure(_ context.Context, u *url.URL) (place, error) {
	query, err := only(u, "storage_account", "endpoint")
	if err != nil {
		return nil, err
	}
	account := cmp.Or(query.Get("storage_account"), os.Getenv("AZURE_STORAGE_ACCOUNT"))
	if account == "" {
		return nil, errors.New("the storage account is missing: set AZURE_STORAGE_ACCOUNT")
	}
	address, err := url.Parse(cmp.Or(query.Get("endpoint"), "https://"+account+".blob.core.windows.net"))
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	address = address.JoinPath(u.Host)
	if key := os.Getenv("AZURE_STORAGE_KEY"); key != "" {
		shared, err := container.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, fmt.Errorf("AZURE_STORAGE_KEY: %w", err)
		}
		client, err := container.NewClientWithSharedKeyCredential(address.String(), shared, nil)
		return &azureContainer{client, true}, err
	}
	if token := os.Getenv("AZURE_STORAGE_SAS_TOKEN"); token != "" {
		address.RawQuery = token
		client, err := container.NewClientWithNoCredential(address.String(), nil)
		return &azureContainer{client, false}, err
	}
	var identity azcore.TokenCredential
	if identity, err = azidentity.NewDefaultAzureCredential(nil); err != nil {
		return nil, fmt.Errorf("find an Azure identity for the container: %w", err)
	}
	client, err := container.NewClient(address.String(), identity, nil)
	return &azureContainer{client, false}, err
}

func (a *azureContainer) open(ctx context.Context, key string, from int64) (io.ReadCloser, int64, error) {
	answer, err := a.client.NewBlobClient(key).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: from}})
	if err != nil {
		return nil, 0, azureError(err)
	}
	if answer.ContentLength == nil {
		_ = answer.Body.Close()
		return nil, 0, errors.New("Azure does not say how long an object is") //nolint:staticcheck // a name
	}
	return answer.Body, from + *answer.ContentLength, nil
}

// azureError tells what is not there from what is wrong.
func azureError(err error) error {
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return cache.ErrNotKept
	}
	return err
}

// put sends blocks from where the content is. The library's own streams hold a block of each in memory, outside of
// what Go counts.
func (a *azureContainer) put(ctx context.Context, key string, content *io.SectionReader) error {
	object := a.client.NewBlockBlobClient(key)
	if content.Size() <= part {
		_, err := object.Upload(ctx, streaming.NopCloser(content), nil)
		return err
	}
	var blocks []string
	for at := int64(0); at < content.Size(); at += part {
		block := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", len(blocks)))
		piece := io.NewSectionReader(content, at, min(part, content.Size()-at))
		if _, err := object.StageBlock(ctx, block, streaming.NopCloser(piece), nil); err != nil {
			return err // what nobody commits is gone after a week
		}
		blocks = append(blocks, block)
	}
	_, err := object.CommitBlockList(ctx, blocks, nil)
	return err
}

func (a *azureContainer) remove(ctx context.Context, key string) error {
	_, err := a.client.NewBlobClient(key).Delete(ctx, nil)
	return azureError(err)
}

func (a *azureContainer) sign(_ context.Context, key string) (string, error) {
	if !a.signs {
		return "", errNoURL
	}
	return a.client.NewBlobClient(key).GetSASURL(sas.BlobPermissions{Read: true}, time.Now().Add(urlLife), nil)
}

func (*azureContainer) close() error { return nil }
