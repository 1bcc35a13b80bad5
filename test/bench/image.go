package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// compression is how a layer is compressed.
type compression types.MediaType

const (
	// likeDocker is what docker build and BuildKit do: compress/gzip at its
	// default level, which is 6.
	likeDocker = compression(types.OCILayer)
	// likeZstd is BuildKit's compression=zstd, at zstd's default level, 3.
	likeZstd = compression(types.OCILayerZStd)
)

// blob is a compressed layer in a file: a v1.Layer that is not read until it is
// pushed.
type blob struct {
	File       string
	Hash, Diff v1.Hash // of the compressed bytes, and of what they hold
	Bytes, Raw int64   // as many of both
	Type       types.MediaType
}

func (b blob) Digest() (v1.Hash, error)             { return b.Hash, nil }
func (b blob) DiffID() (v1.Hash, error)             { return b.Diff, nil }
func (b blob) Size() (int64, error)                 { return b.Bytes, nil }
func (b blob) MediaType() (types.MediaType, error)  { return b.Type, nil }
func (b blob) Compressed() (io.ReadCloser, error)   { return os.Open(b.File) }
func (b blob) Uncompressed() (io.ReadCloser, error) { return b.open() }

// open decompresses the layer.
func (b blob) open() (io.ReadCloser, error) {
	f, err := os.Open(b.File)
	if err != nil {
		return nil, err
	}
	var r io.Reader
	if b.Type == types.OCILayerZStd {
		r, err = zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	} else {
		r, err = gzip.NewReader(bufio.NewReader(f))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return opened{r, f}, nil
}

// opened is a decompressed stream with the file that it comes from.
type opened struct {
	io.Reader
	io.Closer
}

// layers are an image before it is stacked, the lowest layer first, kept in a
// directory of the cache.
type layers []blob

// index is the file that describes the blobs of a directory.
const index = "layers.json"

// cachedLayers returns layers that depend on nothing but key, made at most once
// by what is written to them.
func cachedLayers(name string, key []string, how compression, contents func() ([]content, error)) (layers, error) {
	at, err := packages.Keep(name, append([]string{string(how), "9"}, key...), func(path string) error {
		all, err := contents()
		if err != nil {
			return err
		}
		return writeLayers(path, how, all)
	})
	if err != nil {
		return nil, err
	}
	return readLayers(at)
}

// readLayers returns what writeLayers wrote.
func readLayers(dir string) (ls layers, err error) {
	body, err := os.ReadFile(filepath.Join(dir, index))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &ls); err != nil {
		return nil, err
	}
	for i := range ls {
		ls[i].File = filepath.Join(dir, ls[i].File)
	}
	return ls, nil
}

func writeLayers(dir string, how compression, contents []content) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	ls := make(layers, len(contents))
	for i, write := range contents {
		b, err := writeBlob(filepath.Join(dir, fmt.Sprintf("%03d", i)), how, write)
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		ls[i] = b
	}
	body, err := json.MarshalIndent(ls, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, index), body, 0o644)
}

// writeBlob writes one layer and hashes it on both sides of the compressor.
func writeBlob(file string, how compression, write content) (b blob, err error) {
	out, err := os.Create(file)
	if err != nil {
		return blob{}, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	packed := newMeter(out)
	z, err := how.writer(packed)
	if err != nil {
		return blob{}, err
	}
	raw := newMeter(z)
	if err := write.withParents().to(raw); err != nil {
		return blob{}, err
	}
	if err := z.Close(); err != nil {
		return blob{}, err
	}
	return blob{
		File: filepath.Base(file), Type: types.MediaType(how),
		Hash: packed.digest(), Bytes: packed.n, Diff: raw.digest(), Raw: raw.n,
	}, nil
}

func (c compression) writer(w io.Writer) (io.WriteCloser, error) {
	if c == likeZstd {
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(3)))
	}
	return gzip.NewWriterLevel(w, gzip.DefaultCompression)
}

// to writes a whole archive.
func (c content) to(w io.Writer) error {
	archive := tar.NewWriter(w)
	if err := c(archive); err != nil {
		return err
	}
	return archive.Close()
}

// meter counts and hashes what is written through it.
type meter struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func newMeter(w io.Writer) *meter { return &meter{w: w, sum: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.sum.Write(p[:n])
	m.n += int64(n)
	return n, err
}

func (m *meter) digest() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(m.sum.Sum(nil))}
}

// bytes is what has to be fetched.
func (ls layers) bytes() (n int64) {
	for _, l := range ls {
		n += l.Bytes
	}
	return n
}

// image stacks the layers.
func (ls layers) image() (v1.Image, error) {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	for _, l := range ls {
		var err error
		if img, err = mutate.Append(img, mutate.Addendum{Layer: l}); err != nil {
			return nil, err
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = v1.Config{Entrypoint: []string{"python3", "/app/server.py"}, WorkingDir: "/app"}
	return mutate.ConfigFile(img, file)
}
