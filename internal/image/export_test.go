package image

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ParseFor returns the layers of a runnable image manifest, or what an index has
// for a platform.
func ParseFor(body []byte, mediaType types.MediaType, want v1.Platform) (layers []v1.Descriptor, chosen *v1.Descriptor, err error) {
	m, err := ParseManifest(body, mediaType)
	if err != nil {
		return nil, nil, err
	}
	if m.isIndex() {
		c, err := choose(m.Manifests, want)
		return nil, &c, err
	}
	return m.Layers, nil, m.checkRunnable()
}
