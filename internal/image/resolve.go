package image

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxIndexDepth is how many indexes may lie one in another.
const maxIndexDepth = 4

// Store is what an image lies in, with everything by its digest. What it hands
// out is verified by who asks.
type Store interface {
	// Manifest returns a manifest or an index of at most MaxManifestBytes, and
	// its media type if the store says one.
	Manifest(ctx context.Context, d v1.Descriptor) (body []byte, mediaType types.MediaType, err error)
	// Config returns an image config of at most MaxConfigBytes.
	Config(ctx context.Context, d v1.Descriptor) ([]byte, error)
	// Layer returns a layer. It opens nothing.
	Layer(d v1.Descriptor) Layer
}

// Resolve follows the digests from what a reference names, an image manifest or
// an index, to the image for the platform want; the zero Platform is the running
// machine.
func Resolve(ctx context.Context, s Store, root *Manifest, want v1.Platform) (*Image, error) {
	want = completed(want)
	leaf, err := descend(ctx, s, root, want)
	if err != nil {
		return nil, err
	}
	if err := leaf.checkRunnable(); err != nil {
		return nil, err
	}
	raw, config, err := fetchConfig(ctx, s, leaf)
	if err != nil {
		return nil, err
	}
	platform, err := platformOf(leaf.platform, config.Platform, want)
	if err != nil {
		return nil, err
	}
	img := &Image{
		Digest:         root.Digest,
		ManifestDigest: leaf.Digest,
		Platform:       platform,
		Config:         config,
		RawConfig:      raw,
	}
	for _, d := range leaf.Layers {
		img.Layers = append(img.Layers, s.Layer(d))
	}
	return img, nil
}

// descend follows indexes to the image manifest for the platform.
func descend(ctx context.Context, s Store, m *Manifest, want v1.Platform) (*Manifest, error) {
	for range maxIndexDepth {
		if !m.isIndex() {
			return m, nil
		}
		chosen, err := choose(m.Manifests, want)
		if err != nil {
			return nil, err
		}
		if chosen.Size < 0 {
			return nil, fmt.Errorf("manifest %s claims a size of %d bytes", chosen.Digest, chosen.Size)
		}
		body, mediaType, err := s.Manifest(ctx, chosen)
		if err != nil {
			return nil, err
		}
		if m, err = ParseDescribed(body, mediaType, chosen); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("more than %d indexes lie one in another", maxIndexDepth)
}

func fetchConfig(ctx context.Context, s Store, m *Manifest) ([]byte, *Config, error) {
	body, err := s.Config(ctx, *m.Config)
	if err != nil {
		return nil, nil, err
	}
	if err := verify(body, *m.Config); err != nil {
		return nil, nil, err
	}
	config, err := ParseConfig(body)
	if err != nil {
		return nil, nil, fmt.Errorf("the image config is unreadable: %w", err)
	}
	return body, config, config.rootFS.check(len(m.Layers))
}

// platformOf returns the platform of an image: what the index says, for people
// mend there what a cross-build wrote into the config; else what the config
// says, which then must be what is wanted.
func platformOf(said *v1.Platform, has, want v1.Platform) (v1.Platform, error) {
	if said != nil {
		return *said, nil
	}
	if has.OS == "" || has.Architecture == "" {
		return want, nil // Hand-made images often leave it out.
	}
	if !runs(want, has) {
		return v1.Platform{}, missingPlatform([]string{has.String()}, want)
	}
	return has, nil
}
