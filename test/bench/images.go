package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

const (
	modulesDir = "app/node_modules"
	siteDir    = "usr/local/lib/python3/site-packages"
	copies     = 6 // of node_modules in the image of many small files
)

// images are all that the scenarios pull.
type images struct {
	five, fat, zstd, small layers
}

func makeImages(ctx context.Context) (all images, err error) {
	if all.five, err = five(ctx); err != nil {
		return images{}, err
	}
	if all.fat, err = fat(all.five); err != nil {
		return images{}, err
	}
	if all.zstd, err = zstandard(all.five); err != nil {
		return images{}, err
	}
	all.small, err = small(ctx)
	return all, err
}

// tagged is an image with the tag that the registry has it under.
type tagged struct {
	tag    string
	layers layers
}

func (i images) all() []tagged {
	return []tagged{{"five", i.five}, {"fat", i.fat}, {"zstd", i.zstd}, {"small", i.small}}
}

// five returns the image that the goals are about: a distribution, compilers
// and headers, a runtime with its packages and one big file, node_modules, and
// the application with everything that makes layers more than archives.
func five(ctx context.Context) (layers, error) {
	var paths []string
	for _, source := range []func(context.Context) (string, error){debianBase, debianTools, nodeProgram, sitePackages, nodeModules} {
		at, err := source(ctx)
		if err != nil {
			return nil, err
		}
		paths = append(paths, at)
	}
	return cachedLayers("bench-five", paths, likeDocker, func() ([]content, error) {
		base, tools, node, site, modules := paths[0], paths[1], paths[2], paths[3], paths[4]
		return []content{
			archive(base),
			beside(base, tools),
			all(dir("usr/local/bin"), tree("usr/local/bin/node", node), tree(siteDir, site)),
			all(dir("app"), tree(modulesDir, path.Join(modules, "node_modules"))),
			application(),
		}, nil
	})
}

// beside is what installing packages in a Dockerfile adds to a base: their files
// without those that the base has already, but for one package that comes newer.
func beside(base, tools string) content {
	const newer = "usr/share/perl/"
	return func(w *tar.Writer) error {
		had, again := map[string]bool{}, map[string]bool{}
		note := func(hdr *tar.Header) bool { had[hdr.Name] = true; return false }
		if err := archive(base).filter(note)(tar.NewWriter(io.Discard)); err != nil {
			return err
		}
		return tree("", tools).filter(func(hdr *tar.Header) bool {
			if !merged(hdr) || again[hdr.Name] {
				return false
			}
			again[hdr.Name] = true
			return hdr.Typeflag == tar.TypeDir || !had[hdr.Name] || strings.HasPrefix(hdr.Name, newer)
		})(w)
	}
}

// merged names what lies below /bin, /lib, /lib64 and /sbin by where it is
// found since these are links into /usr, which they must remain.
func merged(hdr *tar.Header) (keep bool) {
	usr := func(name string) string {
		if first, _, below := strings.Cut(name, "/"); below && slices.Contains([]string{"bin", "lib", "lib64", "sbin"}, first) {
			return "usr/" + name
		}
		return name
	}
	switch hdr.Name {
	case "bin/", "lib/", "lib64/", "sbin/":
		return false
	}
	hdr.Name = usr(hdr.Name)
	if hdr.Typeflag == tar.TypeLink {
		hdr.Linkname = usr(hdr.Linkname)
	}
	return true
}

// application is a small layer that changes the ones below it.
func application() content {
	const body = "print('hello')\n"
	return all(
		dir("app"), text("app/server.py", body), text("app/pyproject.toml", "[project]\nname = 'server'\n"),
		text(modulesDir+"/lodash/package.json", "{\"name\": \"lodash\"}\n"),        // written again
		text(modulesDir+"/.wh.ajv-formats", ""), text("usr/share/doc/.wh.git", ""), // gone
		dir(modulesDir+"/lodash/fp"), text(modulesDir+"/lodash/fp/.wh..wh..opq", ""), text(modulesDir+"/lodash/fp/only.js", "exports = {}\n"), // emptied
		// As uv installs: the content lies in a cache that is not taken.
		dir("root/.cache"), dir("root/.cache/uv"), text("root/.cache/uv/0.py", body), text("root/.cache/uv/1.py", body+body),
		dir("opt/venv"), hardLink("opt/venv/zero.py", "root/.cache/uv/0.py"), hardLink("opt/venv/one.py", "root/.cache/uv/1.py"),
	)
}

// zstandard returns the same layers compressed by zstd.
func zstandard(from layers) (layers, error) {
	return cachedLayers("bench-zstd", from.digests(), likeZstd, func() ([]content, error) {
		var contents []content
		for _, l := range from {
			contents = append(contents, l.entries())
		}
		return contents, nil
	})
}

// fat returns the same tree in one layer, but for the application.
func fat(from layers) (layers, error) {
	return cachedLayers("bench-fat", from.digests(), likeDocker, func() ([]content, error) {
		top := len(from) - 1
		img, err := from[:top].image()
		if err != nil {
			return nil, err
		}
		return []content{func(w *tar.Writer) error {
			flat := mutate.Extract(img)
			defer flat.Close()
			return copyArchive(w, flat, named)
		}, from[top].entries()}, nil
	})
}

// small returns an image of many small files: several copies of node_modules.
func small(ctx context.Context) (layers, error) {
	modules, err := nodeModules(ctx)
	if err != nil {
		return nil, err
	}
	return cachedLayers("bench-small", []string{modules, strconv.Itoa(copies)}, likeDocker, func() ([]content, error) {
		var contents []content
		for i := range copies {
			contents = append(contents, tree(fmt.Sprintf("app/%d", i), modules))
		}
		return contents, nil
	})
}

// all writes several contents.
func all(contents ...content) content {
	return func(w *tar.Writer) error {
		for _, write := range contents {
			if err := write(w); err != nil {
				return err
			}
		}
		return nil
	}
}

// entries are those of the layer.
func (b blob) entries() content {
	return func(w *tar.Writer) error {
		r, err := b.open()
		if err != nil {
			return err
		}
		defer r.Close()
		return copyArchive(w, r, named)
	}
}

func (ls layers) digests() []string {
	var digests []string
	for _, l := range ls {
		digests = append(digests, l.Hash.String())
	}
	return slices.Clip(digests)
}
