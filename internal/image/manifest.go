package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// The layer media types that go-containerregistry does not name.
const (
	dockerLayerZstd        types.MediaType = "application/vnd.docker.image.rootfs.diff.tar.zstd"
	ociRestrictedLayerZstd types.MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
	// encryptedSuffix marks layers of the OCI image encryption proposal.
	encryptedSuffix = "+encrypted"
)

// The limits of what is read into memory. A registry must take manifests of
// 4 MiB (distribution spec, "Pushing Manifests"), so none has larger ones.
const (
	MaxManifestBytes = 4 << 20
	MaxConfigBytes   = 8 << 20
)

// UnknownSize is the size in a descriptor of a manifest of which no more than
// the digest is known.
const UnknownSize = -1

// Manifest is an image manifest or an index, whichever it turned out to be.
type Manifest struct {
	// Digest is its own.
	Digest v1.Hash

	document

	platform *v1.Platform // As the index above it says; nil: it does not.
}

// ParseManifest reads a manifest or an index of which nothing is known but, if
// the place that it comes from says one, the media type: what a tag names. A tag
// is a promise of nothing, so that the digest is computed.
func ParseManifest(body []byte, mediaType types.MediaType) (*Manifest, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return parseManifest(body, mediaType, v1.Descriptor{Digest: digest})
}

// ParseDescribed reads the manifest or index that a descriptor names, and holds
// it against it.
func ParseDescribed(body []byte, mediaType types.MediaType, d v1.Descriptor) (*Manifest, error) {
	if err := verify(body, d); err != nil {
		return nil, err
	}
	return parseManifest(body, mediaType, d)
}

func parseManifest(body []byte, mediaType types.MediaType, d v1.Descriptor) (*Manifest, error) {
	doc, err := parseDocument(body, mediaType)
	if err != nil {
		return nil, err
	}
	return &Manifest{Digest: d.Digest, document: *doc, platform: d.Platform}, nil
}

// document is what a manifest or an index holds.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	ArtifactType  string          `json:"artifactType"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	Manifests     []v1.Descriptor `json:"manifests"`
	FSLayers      json.RawMessage `json:"fsLayers"` // Of schema 1.
}

func (d *document) isIndex() bool { return d.Manifests != nil }

// parseDocument reads a manifest or an index. Which of the two it is, its own
// members decide; where they could be read as both, somebody wants two readers to
// see two images (CVE-2021-41190), and it is refused.
func parseDocument(body []byte, mediaType types.MediaType) (*document, error) {
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, fmt.Errorf("the manifest is unreadable: %w", err)
	}
	if d.MediaType == "" {
		d.MediaType = mediaType
	}
	if d.MediaType.IsIndex() && d.Manifests == nil {
		d.Manifests = []v1.Descriptor{}
	}
	for _, m := range d.Manifests {
		if m.Platform != nil {
			*m.Platform = normalized(*m.Platform)
		}
	}
	isImage := d.Config != nil || d.Layers != nil || d.MediaType.IsImage()
	switch {
	case d.SchemaVersion == 1 || d.FSLayers != nil || d.MediaType.IsSchema1():
		return nil, hint.Add(errors.New("image manifests of schema 1 are not supported"),
			"push the image again with a current tool: schema 1 was superseded in 2016")
	case isImage && d.isIndex():
		return nil, errors.New("the manifest is both an image manifest and an index")
	case !isImage && !d.isIndex():
		return nil, fmt.Errorf("not a runnable image: the manifest is of type %q", Abbreviate(string(d.MediaType)))
	default:
		return &d, nil
	}
}

// checkRunnable refuses what is kept in registries beside images: wasm modules,
// Helm charts, models, signatures.
func (d *document) checkRunnable() error {
	if d.Config == nil || !d.Config.MediaType.IsConfig() {
		return notRunnable("artifactType", d.artifact())
	}
	if d.Config.Size < 0 || d.Config.Size > MaxConfigBytes {
		return fmt.Errorf("the image config has %d bytes, where %d are the most that is read", d.Config.Size, MaxConfigBytes)
	}
	for _, layer := range d.Layers {
		if err := checkLayer(layer); err != nil {
			return err
		}
	}
	return nil
}

// artifact returns what kind of thing this is: image spec, "Guidelines for
// Artifact Usage".
func (d *document) artifact() string {
	if d.ArtifactType != "" || d.Config == nil {
		return d.ArtifactType
	}
	return string(d.Config.MediaType)
}

func checkLayer(layer v1.Descriptor) error {
	mediaType := string(layer.MediaType)
	switch {
	case layer.Size < 0:
		return fmt.Errorf("layer %s claims a size of %d bytes", layer.Digest, layer.Size)
	case strings.HasSuffix(mediaType, encryptedSuffix):
		return fmt.Errorf("not a runnable image: layer %s is encrypted (%q)", layer.Digest, Abbreviate(mediaType))
	case !layer.MediaType.IsLayer() && !slices.Contains([]types.MediaType{dockerLayerZstd, ociRestrictedLayerZstd}, layer.MediaType):
		return notRunnable("layer type", mediaType)
	default:
		return nil
	}
}

func notRunnable(what, mediaType string) error {
	return hint.Add(fmt.Errorf("not a runnable image: %s %q", what, Abbreviate(mediaType)),
		"IMAGE must name a container image that holds files, as docker build makes them")
}
