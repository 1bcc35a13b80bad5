package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fetchManifest gets a manifest by tag or digest, and verifies it against its
// descriptor if there is one.
func (s *session) fetchManifest(ctx context.Context, identifier, object string, want *v1.Descriptor) (node, error) {
	accept := http.Header{"Accept": {strings.Join([]string{
		string(types.OCIImageIndex), string(types.DockerManifestList),
		string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
	}, ", ")}}
	found, err := s.fetch(ctx, s.url("/v2/"+s.repo+"/manifests/"+identifier), accept, object, MaxManifestBytes)
	if err != nil {
		return node{}, err
	}
	n := node{}
	if want == nil {
		n.digest, _, err = v1.SHA256(bytes.NewReader(found.body))
	} else {
		n.digest, err = want.Digest, verify(found.body, *want)
	}
	if err != nil {
		return node{}, err
	}
	n.document, err = parseDocument(found.body, found.contentType)
	return n, err
}

func (s *session) fetchConfig(ctx context.Context, n node) ([]byte, *ImageConfig, error) {
	found, err := s.fetch(ctx, s.blobURL(n.Config.Digest), nil, "image config", MaxConfigBytes)
	if err != nil {
		return nil, nil, err
	}
	if err := verify(found.body, *n.Config); err != nil {
		return nil, nil, err
	}
	config, err := ParseConfig(found.body)
	if err != nil {
		return nil, nil, fmt.Errorf("the image config is unreadable: %w", err)
	}
	return found.body, config, config.rootFS.check(len(n.Layers))
}

// found is a small object, read whole.
type found struct {
	body        []byte
	contentType string
}

// fetch gets a small object, with all the patience that it needs.
func (s *session) fetch(ctx context.Context, from *url.URL, header http.Header, object string, limit int64) (found, error) {
	return retry(ctx, newPatience(s.delay, s.log), func() (found, error) {
		resp, err := s.get(ctx, from, header) //nolint:bodyclose // readAll and failure close it
		if err != nil {
			return found{}, err
		}
		if resp.StatusCode != http.StatusOK {
			return found{}, s.failure(resp, object)
		}
		body, err := readAll(resp.Body, limit)
		if err == nil && isPage(resp.Header, body) {
			err = pageError(resp.Request.URL.Host)
		}
		return found{body: body, contentType: resp.Header.Get("Content-Type")}, err
	})
}

// verify holds content against its descriptor.
func verify(content []byte, want v1.Descriptor) error {
	hasher, err := v1.Hasher(want.Digest.Algorithm)
	if err != nil {
		return err
	}
	if want.Size != unknownSize && want.Size != int64(len(content)) {
		return fmt.Errorf("%s has %d bytes, where its descriptor says %d", want.Digest, len(content), want.Size)
	}
	_, _ = hasher.Write(content) // A hash never fails.
	return checkSum(hasher, want.Digest)
}

func checkSum(hasher hash.Hash, want v1.Hash) error {
	got := v1.Hash{Algorithm: want.Algorithm, Hex: hex.EncodeToString(hasher.Sum(nil))}
	if got != want {
		return &DigestError{Want: want, Got: got}
	}
	return nil
}

func (s *session) blobURL(digest v1.Hash) *url.URL {
	return s.url("/v2/" + s.repo + "/blobs/" + digest.String())
}
