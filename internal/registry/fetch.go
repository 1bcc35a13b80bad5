package registry

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// fetchManifest gets a manifest by tag or digest.
func (s *session) fetchManifest(ctx context.Context, identifier, object string) ([]byte, types.MediaType, error) {
	accept := http.Header{"Accept": {strings.Join([]string{
		string(types.OCIImageIndex), string(types.DockerManifestList),
		string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
	}, ", ")}}
	found, err := s.fetch(ctx, s.url("/v2/"+s.repo+"/manifests/"+identifier), accept, object, image.MaxManifestBytes)
	return found.body, mediaTypeOf(found.contentType), err
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

func (s *session) blobURL(digest v1.Hash) *url.URL {
	return s.url("/v2/" + s.repo + "/blobs/" + digest.String())
}
