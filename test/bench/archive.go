package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// content writes entries of a layer.
type content func(*tar.Writer) error

// dir is a directory.
func dir(name string) content {
	return entry(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
}

// text is a file with the given body.
func text(name, body string) content {
	return func(w *tar.Writer) error {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body))}); err != nil {
			return err
		}
		_, err := io.WriteString(w, body)
		return err
	}
}

// hardLink is a further name of a file of the same layer.
func hardLink(name, target string) content {
	return entry(&tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644})
}

// entry is an entry without a body, of any kind.
func entry(hdr *tar.Header) content {
	return func(w *tar.Writer) error { return w.WriteHeader(hdr) }
}

// archive are the entries of another archive.
func archive(source string) content {
	return func(w *tar.Writer) error {
		f, err := os.Open(source)
		if err != nil {
			return err
		}
		defer f.Close()
		return copyArchive(w, f, named)
	}
}

// filter leaves out the entries that keep, which may change them, does not want.
func (c content) filter(keep func(*tar.Header) bool) content {
	return func(w *tar.Writer) error {
		r, pipe := io.Pipe()
		go func() { pipe.CloseWithError(c.to(pipe)) }()
		err := copyArchive(w, r, keep)
		return errors.Join(err, r.Close()) // Closed so that the other end does not wait for ever.
	}
}

// withParents puts the directories above each entry in front of it where they are
// missing, and leaves out those that come later. Layers that are the difference
// of two file systems hold each once.
func (c content) withParents() content {
	return func(w *tar.Writer) error {
		seen := map[string]bool{"": true, ".": true}
		var failed error
		err := c.filter(func(hdr *tar.Header) bool {
			again := hdr.Typeflag == tar.TypeDir && seen[strings.TrimSuffix(hdr.Name, "/")]
			failed = errors.Join(failed, addParents(w, hdr, seen))
			return failed == nil && !again
		})(w)
		return errors.Join(failed, err)
	}
}

// addParents writes the directories above hdr that were not seen yet, and marks
// all as seen.
func addParents(w *tar.Writer, hdr *tar.Header, seen map[string]bool) error {
	name := strings.TrimSuffix(hdr.Name, "/")
	for i, c := range name {
		if parent := name[:i]; c == '/' && !seen[parent] {
			seen[parent] = true
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: parent + "/", Mode: 0o755, ModTime: hdr.ModTime}); err != nil {
				return err
			}
		}
	}
	seen[name] = true
	return nil
}

// named keeps every entry but the root itself, which builders of images leave
// out, and takes the dot off the names.
func named(hdr *tar.Header) bool {
	hdr.Name, hdr.Linkname = strings.TrimPrefix(hdr.Name, "./"), strings.TrimPrefix(hdr.Linkname, "./")
	return hdr.Name != ""
}

// copyArchive copies the entries of another archive that keep wants.
func copyArchive(w *tar.Writer, from io.Reader, keep func(*tar.Header) bool) error {
	r := tar.NewReader(from)
	for {
		hdr, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !keep(hdr) {
			continue
		}
		if err := w.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

// tree is a file of this machine, or a directory with everything in it, as
// root's and below name, which is empty for the root of the image.
func tree(name, source string) content {
	return func(w *tar.Writer) error {
		links := map[uint64]string{} // inode to its first name in the layer
		return filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(source, file)
			if err != nil {
				return err
			}
			if at := path.Join(name, rel); at != "." {
				return writeEntry(w, at, file, d, links)
			}
			return nil
		})
	}
}

func writeEntry(w *tar.Writer, name, file string, d fs.DirEntry, links map[uint64]string) error {
	hdr, err := header(name, file, d, links)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(hdr); err != nil || hdr.Typeflag != tar.TypeReg {
		return err
	}
	body, err := os.Open(file)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

func header(name, file string, d fs.DirEntry, links map[uint64]string) (*tar.Header, error) {
	info, err := d.Info()
	if err != nil {
		return nil, err
	}
	target := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if target, err = os.Readlink(file); err != nil {
			return nil, err
		}
	}
	hdr, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil, err
	}
	hdr.Name, hdr.Uname, hdr.Gname = name, "", ""
	if info.IsDir() {
		hdr.Name += "/"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Nlink < 2 || !info.Mode().IsRegular() {
		return hdr, nil
	}
	if first, again := links[stat.Ino]; again {
		hdr.Typeflag, hdr.Linkname, hdr.Size = tar.TypeLink, first, 0
		return hdr, nil
	}
	links[stat.Ino] = name
	return hdr, nil
}
