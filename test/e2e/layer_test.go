package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// content writes entries of a layer.
type content func(*tar.Writer) error

// newImage returns an image of one layer for this machine, as a build from a
// Dockerfile would make it.
func newImage(config v1.Config, contents ...content) (v1.Image, error) {
	layer, err := newLayer(contents...)
	if err != nil {
		return nil, err
	}
	return stack(config, layer)
}

// stack returns an image of the given layers, the lowest first.
func stack(config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(img, file)
}

func newLayer(contents ...content) (v1.Layer, error) {
	var body bytes.Buffer
	w := tar.NewWriter(&body)
	for _, write := range contents {
		if err := write(w); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed), tarball.WithCompressedCaching)
}

// dir is a directory.
func dir(name string) content {
	return func(w *tar.Writer) error {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
	}
}

// file is a file with the given body.
func file(name string, mode int64, body string) content {
	return func(w *tar.Writer) error {
		hdr := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(body))}
		if err := w.WriteHeader(hdr); err != nil {
			return err
		}
		_, err := io.WriteString(w, body)
		return err
	}
}

// program is an executable file with the body of another one.
func program(name, source string) content {
	return func(w *tar.Writer) error {
		body, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		return file(name, 0o755, string(body))(w)
	}
}

// link is a symbolic link.
func link(name, target string) content {
	return entry(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

// entry is an entry without a body, of any kind.
func entry(hdr *tar.Header) content {
	return func(w *tar.Writer) error { return w.WriteHeader(hdr) }
}

// picked are those entries of an archive that pick gives a name.
func picked(archive string, pick func(name string) (string, bool)) content {
	return func(w *tar.Writer) error {
		f, err := os.Open(archive)
		if err != nil {
			return err
		}
		defer f.Close()
		r := tar.NewReader(f)
		for {
			hdr, err := r.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := copyPicked(w, r, hdr, pick); err != nil {
				return err
			}
		}
	}
}

func copyPicked(w *tar.Writer, r *tar.Reader, hdr *tar.Header, pick func(name string) (string, bool)) error {
	name, ok := pick(path.Clean(hdr.Name))
	if !ok {
		return nil
	}
	hdr.Name = name
	if err := w.WriteHeader(hdr); err != nil {
		return err
	}
	_, err := io.Copy(w, r)
	return err
}

// tree is a directory of this machine with everything in it, as root's.
func tree(name, source string) content {
	return func(w *tar.Writer) error {
		root := os.DirFS(source)
		return fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return writeEntry(w, root, p, path.Join(name, p), d)
		})
	}
}

func writeEntry(w *tar.Writer, root fs.FS, p, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	target := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if target, err = fs.ReadLink(root, p); err != nil {
			return err
		}
	}
	hdr, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	hdr.Name = name
	hdr.Uid, hdr.Gid, hdr.Uname, hdr.Gname = 0, 0, "", ""
	if err := w.WriteHeader(hdr); err != nil || hdr.Typeflag != tar.TypeReg {
		return err
	}
	body, err := root.Open(p)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// environ returns variables with PATH in front, as images have it.
func environ(searchPath string, more ...string) []string {
	return append([]string{"PATH=" + strings.TrimPrefix(searchPath+":/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", ":")}, more...)
}
