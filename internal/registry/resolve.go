package registry

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// Resolve asks the registry once what ref is and follows the digests from there
// to the image for the platform want; the zero Platform is the running machine.
// Credentials that the registry refuses are given one more chance: without them,
// since the image may be public.
func (c *Client) Resolve(ctx context.Context, ref name.Reference, want v1.Platform) (*image.Image, error) {
	l, err := c.loginFor(ctx, ref.Context())
	if err != nil {
		return nil, &Error{Op: "resolve", Object: ref.String(), Err: err}
	}
	img, err := c.resolveAs(ctx, ref, want, l)
	if status, ok := errors.AsType[*statusError](err); ok && status.denied() && !l.anonymous() {
		c.log.Warn("The registry refuses the credentials, trying without them", "registry", ref.Context().RegistryStr())
		if public, err := c.resolveAs(ctx, ref, want, login{}); err == nil {
			return public, nil
		}
	}
	if err != nil {
		return nil, hint.Add(&Error{Op: "resolve", Object: ref.String(), Err: err}, hintFor(err, l.anonymous()))
	}
	return img, nil
}

func (c *Client) resolveAs(ctx context.Context, ref name.Reference, want v1.Platform, l login) (*image.Image, error) {
	s, err := c.connect(ctx, ref.Context(), l)
	if err != nil {
		return nil, err
	}
	root, err := s.fetchRoot(ctx, ref)
	if err != nil {
		return nil, err
	}
	return image.Resolve(ctx, s, root, want)
}

// fetchRoot gets what the reference names. Of a tag the digest is computed,
// whatever header the registry adds.
func (s *session) fetchRoot(ctx context.Context, ref name.Reference) (*image.Manifest, error) {
	digest, isDigest := ref.(name.Digest)
	if !isDigest {
		body, mediaType, err := s.fetchManifest(ctx, ref.Identifier(), "tag")
		if err != nil {
			return nil, err
		}
		return image.ParseManifest(body, mediaType)
	}
	hash, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		return nil, err
	}
	body, mediaType, err := s.fetchManifest(ctx, ref.Identifier(), "digest")
	if err != nil {
		return nil, err
	}
	return image.ParseDescribed(body, mediaType, v1.Descriptor{Digest: hash, Size: image.UnknownSize})
}

// Manifest gets a manifest or an index.
func (s *session) Manifest(ctx context.Context, d v1.Descriptor) ([]byte, types.MediaType, error) {
	return s.fetchManifest(ctx, d.Digest.String(), "manifest")
}

// Config gets an image config.
func (s *session) Config(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	found, err := s.fetch(ctx, s.blobURL(d.Digest), nil, "image config", image.MaxConfigBytes)
	return found.body, err
}

// Layer makes a layer of the manifest openable.
func (s *session) Layer(d v1.Descriptor) image.Layer {
	return &layer{
		described: image.Descriptor{Digest: d.Digest, Size: d.Size, MediaType: string(d.MediaType)},
		urls:      slices.Clone(d.URLs),
		session:   s,
	}
}
