// Resources: the files beside the workflow files, stored under their sums.

package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
)

// Sums are hex SHA-256 of resources.
type Sums struct {
	Sums []string `json:"sums" maxItems:"10000" pattern:"^[0-9a-f]{64}$"`
}

// Missing are the sums that are not stored.
type Missing struct {
	Missing []string `json:"missing"`
}

type missingIn struct{ Body Sums }

func (s *Server) missingBlobs(ctx context.Context, in *missingIn) (*body[Missing], error) {
	missing, err := s.store.MissingBlobs(ctx, in.Body.Sums)
	if missing == nil {
		missing = []string{}
	}
	return &body[Missing]{Missing{missing}}, err
}

// SumPath names a resource.
type SumPath struct {
	SHA256 string `path:"sha256" pattern:"^[0-9a-f]{64}$" doc:"Sum of the content, in hex"`
}

type putBlobIn struct {
	SumPath
	RawBody []byte
}

func (s *Server) putBlob(ctx context.Context, in *putBlobIn) (*none, error) {
	sum := sha256.Sum256(in.RawBody)
	if got := hex.EncodeToString(sum[:]); got != in.SHA256 {
		return nil, flow.Errorf(flow.CodeBadRequest, "sha256", "the content's sum is %s, not %s; it was changed or cut on its way", got, in.SHA256)
	}
	return nil, s.store.PutBlob(ctx, in.SHA256, in.RawBody)
}

func (s *Server) getBlob(ctx context.Context, in *SumPath) (*huma.StreamResponse, error) {
	raw, err := s.store.Blob(ctx, in.SHA256)
	if err != nil {
		return nil, err
	}
	return respond("application/octet-stream", raw), nil
}
