package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxIndexDepth is how many indexes may lie one in another.
const maxIndexDepth = 4

// Image is an image for one platform.
type Image struct {
	// Reference is the reference as it was written.
	Reference string
	// Digest is what the reference resolved to: of an index where there is one.
	Digest v1.Hash
	// ManifestDigest is that of the image manifest for the platform.
	ManifestDigest v1.Hash
	// Platform is that of the image, not of the machine.
	Platform v1.Platform
	// Config is the image config, and RawConfig its bytes.
	Config    *ImageConfig
	RawConfig []byte
	// Layers are in the order in which they are applied.
	Layers []Layer
}

// Resolve asks the registry once what ref is and follows the digests from there
// to the image for the platform want; the zero Platform is the running machine.
// Credentials that the registry refuses are given one more chance: without them,
// since the image may be public.
func (c *Client) Resolve(ctx context.Context, ref name.Reference, want v1.Platform) (*Image, error) {
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
		return nil, &Error{Op: "resolve", Object: ref.String(), Err: err, hint: hintFor(err, l.anonymous())}
	}
	return img, nil
}

func (c *Client) resolveAs(ctx context.Context, ref name.Reference, want v1.Platform, l login) (*Image, error) {
	s, err := c.connect(ctx, ref.Context(), l)
	if err != nil {
		return nil, err
	}
	root, err := s.fetchRoot(ctx, ref)
	if err != nil {
		return nil, err
	}
	want = completed(want)
	leaf, err := s.descend(ctx, root, want)
	if err != nil {
		return nil, err
	}
	if err := leaf.checkRunnable(); err != nil {
		return nil, err
	}
	raw, config, err := s.fetchConfig(ctx, leaf)
	if err != nil {
		return nil, err
	}
	platform, err := platformOf(leaf, config.Platform, want)
	if err != nil {
		return nil, err
	}
	return &Image{
		Reference:      ref.String(),
		Digest:         root.digest,
		ManifestDigest: leaf.digest,
		Platform:       platform,
		Config:         config,
		RawConfig:      raw,
		Layers:         s.layers(leaf.Layers),
	}, nil
}

// node is a manifest or index with what is known of it from above.
type node struct {
	*document
	digest   v1.Hash
	platform *v1.Platform // As the index says; nil: it does not.
}

// fetchRoot gets what the reference names. A tag is a promise of nothing, so that
// the digest is computed, whatever header the registry adds.
func (s *session) fetchRoot(ctx context.Context, ref name.Reference) (node, error) {
	digest, isDigest := ref.(name.Digest)
	if !isDigest {
		return s.fetchManifest(ctx, ref.Identifier(), "tag", nil)
	}
	hash, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		return node{}, err
	}
	return s.fetchManifest(ctx, ref.Identifier(), "digest", &v1.Descriptor{Digest: hash, Size: unknownSize})
}

// unknownSize stands for the size of a manifest that the user named by digest.
const unknownSize = -1

// descend follows indexes to the image manifest for the platform.
func (s *session) descend(ctx context.Context, n node, want v1.Platform) (node, error) {
	for range maxIndexDepth {
		if !n.isIndex() {
			return n, nil
		}
		chosen, err := choose(n.Manifests, want)
		if err != nil {
			return node{}, err
		}
		if chosen.Size < 0 {
			return node{}, fmt.Errorf("manifest %s claims a size of %d bytes", chosen.Digest, chosen.Size)
		}
		if n, err = s.fetchManifest(ctx, chosen.Digest.String(), "manifest", &chosen); err != nil {
			return node{}, err
		}
		n.platform = chosen.Platform
	}
	return node{}, fmt.Errorf("more than %d indexes lie one in another", maxIndexDepth)
}

// check holds the config against the manifest: image spec, "config.md", rootfs.
func (r rootFS) check(layers int) error {
	if r.Type != "layers" {
		return fmt.Errorf("the image config has a rootfs of type %q, not \"layers\"", abbreviate(r.Type))
	}
	if len(r.DiffIDs) != layers {
		return fmt.Errorf("the image config lists %d diffIDs for the %d layers of the manifest", len(r.DiffIDs), layers)
	}
	return nil
}

// platformOf returns the platform of an image: what the index says, for people
// mend there what a cross-build wrote into the config; else what the config
// says, which then must be what is wanted.
func platformOf(n node, has, want v1.Platform) (v1.Platform, error) {
	if n.platform != nil {
		return *n.platform, nil
	}
	if has.OS == "" || has.Architecture == "" {
		return want, nil // Hand-made images often leave it out.
	}
	if !runs(want, has) {
		return v1.Platform{}, missingPlatform([]string{has.String()}, want)
	}
	return has, nil
}

// layers makes the layers of a manifest openable.
func (s *session) layers(descriptors []v1.Descriptor) []Layer {
	layers := make([]Layer, len(descriptors))
	for i, d := range descriptors {
		layers[i] = Layer{
			Digest:    d.Digest,
			Size:      d.Size,
			MediaType: string(d.MediaType),
			urls:      slices.Clone(d.URLs),
			session:   s,
		}
	}
	return layers
}
