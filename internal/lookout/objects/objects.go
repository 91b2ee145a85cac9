// Package objects finds objects in buckets of Amazon S3, and of servers that speak as it does. It must not know what they
// are for.
package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"baton/internal/flow"
	"baton/internal/lookout"
)

const (
	// coarse is how much too early the time of an object may be: S3 tells whole seconds, by a clock of its own.
	coarse = 2 * time.Second
	// patience is how long a listing may take.
	patience = 10 * time.Minute
	// mostListed bounds what is listed for a pattern, however few of it match.
	mostListed = 1_000_000
)

// Finder asks an object store. It is safe for concurrent use.
type Finder struct {
	address, region string

	mu     sync.Mutex
	client *minio.Client
	made   time.Time
}

// New returns one for the object store that an environment names in the words of Amazon's own tools: AWS_ENDPOINT_URL_S3 or
// AWS_ENDPOINT_URL, Amazon's own where there is neither, and AWS_REGION or AWS_DEFAULT_REGION.
func New(getenv func(string) string) *Finder {
	return &Finder{
		address: cmp.Or(getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com"),
		region:  cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
	}
}

// keep is how long a client is used: credentials of a file are read anew then, or when they were refused.
const keep = 10 * time.Minute

// Find returns the objects that match s3://bucket/pattern, in which * and ? stand for what has no slash, {a,b} for words and
// ** for anything. Who may ask, the library finds as Amazon's own tools do: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the
// files of a profile, or the role of the host.
func (f *Finder) Find(pattern string) (found []flow.FoundFile, trouble string, err error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(pattern, flow.BucketScheme), "/")
	client, err := f.dial()
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	listed := 0
	for o := range client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix(key), Recursive: true}) {
		if o.Err != nil {
			f.forget(client)
			return nil, "", fmt.Errorf("the objects of %s cannot be listed: %w", pattern, plain(o.Err))
		}
		if listed++; listed > mostListed {
			return nil, "", fmt.Errorf("more than %d objects begin with %q; begin the pattern with more than that", mostListed, prefix(key))
		}
		if match, err := doublestar.Match(key, o.Key); err != nil || !match || strings.HasSuffix(o.Key, "/") {
			continue // what ends so stands for a folder
		}
		if len(found) == lookout.MostFiles {
			return nil, "", fmt.Errorf("%s matches more than %d objects; narrow it, or move away what was processed", pattern, lookout.MostFiles)
		}
		found = append(found, flow.FoundFile{
			FileVersion: flow.FileVersion{Path: flow.BucketScheme + bucket + "/" + o.Key, Size: o.Size, Modified: o.LastModified.UnixNano(), Tag: o.ETag},
			CameAt:      flow.At(o.LastModified), Coarse: coarse,
		})
	}
	return found, "", nil
}

// prefix is what all keys begin with that match a pattern.
func prefix(pattern string) string {
	if i := strings.IndexAny(pattern, `*?[{\`); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// dial is a client.
func (f *Finder) dial() (*minio.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client != nil && time.Since(f.made) < keep {
		return f.client, nil
	}
	u, err := url.Parse(f.address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("AWS_ENDPOINT_URL of the master is %q, and no address such as https://minio.example.com:9000", f.address)
	}
	client, err := minio.New(u.Host, &minio.Options{
		Secure: u.Scheme == "https", Region: f.region,
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: 2 * time.Second}},
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", f.address, err)
	}
	f.client, f.made = client, time.Now()
	return client, nil
}

// forget has another client made after an error.
func (f *Finder) forget(client *minio.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client == client {
		f.client = nil
	}
}

// plain says what an answer of S3 means here.
func plain(err error) error {
	if e, ok := errors.AsType[minio.ErrorResponse](err); ok {
		switch e.Code {
		case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
			return fmt.Errorf("%s (%s); the masters need AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of somebody who may list the bucket", e.Message, e.Code)
		case "NoSuchBucket":
			return fmt.Errorf("there is no bucket %s", e.BucketName)
		}
	}
	return err
}
