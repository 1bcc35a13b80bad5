// Package image says what an image is wherever it lies: a manifest, a config
// and layers, all named by their digests, for one platform. It follows the
// digests from what a reference names down to them, and holds every byte
// against the digest that named it. It does not know what an image lies in:
// that is behind the interfaces Store and Layer.
package image

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is an image for one platform.
type Image struct {
	// Digest is what the reference was found to mean: that of an index where
	// there is one, else of the manifest. Two images with the same digest and
	// the same platform are the same.
	Digest v1.Hash
	// ManifestDigest is that of the image manifest for the platform.
	ManifestDigest v1.Hash
	// Platform is that of the image, not of the machine.
	Platform v1.Platform
	// Config is the image config, and RawConfig its bytes.
	Config    *Config
	RawConfig []byte
	// Layers are in the order in which they are applied.
	Layers []Layer
}

// Layer is one layer of an image, still where the image lies. It may be opened
// more than once, and together with others.
type Layer interface {
	// Descriptor says what the layer is, as far as is known before it is read.
	Descriptor() Descriptor
	// Open streams the layer's blob as it is kept, compressed or not, from the
	// byte at offset on up to its last. Nothing is verified: that is for Open
	// of this package. The context governs the whole stream.
	Open(ctx context.Context, offset int64) (io.ReadCloser, error)
	// Explain says of a fault of the layer's content whose it is.
	Explain(err error) error
}

// Descriptor describes a layer.
type Descriptor struct {
	// Digest is that of the blob.
	Digest v1.Hash
	// Size is that of the blob, in bytes.
	Size int64
	// MediaType is what the layer is said to be, for people: its first bytes
	// tell how it is compressed.
	MediaType string
}
