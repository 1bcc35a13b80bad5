package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
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
	Config    *v1.ConfigFile
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
	platform, err := platformOf(leaf, config, want)
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

func (s *session) fetchConfig(ctx context.Context, n node) ([]byte, *v1.ConfigFile, error) {
	found, err := s.fetch(ctx, s.blobURL(n.Config.Digest), nil, "image config", MaxConfigBytes)
	if err != nil {
		return nil, nil, err
	}
	if err := verify(found.body, *n.Config); err != nil {
		return nil, nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(found.body))
	if err != nil {
		return nil, nil, fmt.Errorf("the image config is unreadable: %w", err)
	}
	return found.body, config, checkRootFS(config.RootFS, len(n.Layers))
}

// checkRootFS holds the config against the manifest: image spec, "config.md",
// rootfs.
func checkRootFS(rootfs v1.RootFS, layers int) error {
	if rootfs.Type != "layers" {
		return fmt.Errorf("the image config has a rootfs of type %q, not \"layers\"", abbreviate(rootfs.Type))
	}
	if len(rootfs.DiffIDs) != layers {
		return fmt.Errorf("the image config lists %d diffIDs for the %d layers of the manifest", len(rootfs.DiffIDs), layers)
	}
	return nil
}

// platformOf returns the platform of an image: what the index says, for people
// mend there what a cross-build wrote into the config; else what the config
// says, which then must be what is wanted.
func platformOf(n node, config *v1.ConfigFile, want v1.Platform) (v1.Platform, error) {
	if n.platform != nil {
		return *n.platform, nil
	}
	has := v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	if has.OS == "" || has.Architecture == "" {
		return want, nil // Hand-made images often leave it out.
	}
	if !runs(want, has) {
		return v1.Platform{}, missingPlatform([]string{has.String()}, want)
	}
	return has, nil
}

// found is a small object, read whole.
type found struct {
	body        []byte
	contentType string
}

// fetch gets a small object, with all the patience that it needs.
func (s *session) fetch(ctx context.Context, from *url.URL, header http.Header, object string, limit int64) (found, error) {
	return retry(ctx, s.log, func() (found, error) {
		resp, err := s.get(ctx, from, header) //nolint:bodyclose // readAll and failure close it
		if err != nil {
			return found{}, err
		}
		if resp.StatusCode != http.StatusOK {
			return found{}, s.failure(resp, object)
		}
		body, err := readAll(resp.Body, limit)
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
