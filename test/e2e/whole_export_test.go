package e2e_test

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// pathTree describes a file system: each path by a line that says all of it.
type pathTree map[string]string

// fileFacts are what is compared of one path.
type fileFacts struct {
	kind     byte // as in the typeflag of a tar header
	mode     int64
	uid, gid int
	mtime    int64
	content  string // the target of a link, or the digest of a file
	xattrs   map[string]string
	names    []string // all the names of an inode that has several
}

func (f fileFacts) String() string {
	return fmt.Sprintf("%c %04o %d:%d @%d %q %q %q", f.kind, f.mode, f.uid, f.gid, f.mtime, f.content, f.xattrs, f.names)
}

// exported describes what the engine's export of a container holds.
func (l *lab) exported(t *testing.T, id string) pathTree {
	t.Helper()
	cmd := l.engine.command(t.Context(), "export", id)
	archive, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	facts, err := readArchive(archive)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	return described(facts)
}

func readArchive(archive io.Reader) (map[string]*fileFacts, error) {
	facts := map[string]*fileFacts{}
	r := tar.NewReader(archive)
	for {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, archive)
			return facts, err
		}
		if err != nil {
			return nil, err
		}
		p := path.Clean(hdr.Name)
		if hdr.Typeflag == tar.TypeLink {
			first := facts[path.Clean(hdr.Linkname)]
			first.names = append(first.names, p)
			facts[p] = first
			continue
		}
		f := &fileFacts{
			kind: hdr.Typeflag, mode: hdr.Mode & 0o7777, uid: hdr.Uid, gid: hdr.Gid,
			mtime: hdr.ModTime.Unix(), content: hdr.Linkname, xattrs: map[string]string{}, names: []string{p},
		}
		for key, value := range hdr.PAXRecords {
			if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
				f.xattrs[name] = value
			}
		}
		if hdr.Typeflag == tar.TypeReg {
			if f.content, err = digest(r); err != nil {
				return nil, err
			}
		}
		facts[p] = f
	}
}

// below describes what lies below a directory of this machine.
func below(top string) (pathTree, error) {
	facts, inodes := map[string]*fileFacts{}, map[uint64]*fileFacts{}
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == top {
			return err
		}
		p := strings.TrimPrefix(name, top+"/")
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("this machine has no inodes")
		}
		if first := inodes[stat.Ino]; first != nil && !d.IsDir() {
			first.names = append(first.names, p)
			facts[p] = first
			return nil
		}
		f, err := look(name, p, info, stat)
		inodes[stat.Ino], facts[p] = f, f
		return err
	})
	return described(facts), err
}

func look(name, p string, info fs.FileInfo, stat *syscall.Stat_t) (*fileFacts, error) {
	target := ""
	var err error
	if info.Mode().Type() == fs.ModeSymlink {
		if target, err = os.Readlink(name); err != nil {
			return nil, err
		}
	}
	hdr, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil, err
	}
	f := &fileFacts{
		kind: hdr.Typeflag, mode: hdr.Mode & 0o7777, uid: int(stat.Uid), gid: int(stat.Gid),
		mtime: info.ModTime().Unix(), content: target, names: []string{p},
	}
	if f.xattrs, err = xattrs(name); err != nil {
		return nil, err
	}
	if hdr.Typeflag == tar.TypeReg {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		f.content, err = digest(file)
		return f, err
	}
	return f, nil
}

// xattrs reads the attributes that images may set.
func xattrs(name string) (map[string]string, error) {
	const most = 4096
	found := map[string]string{}
	list := make([]byte, most)
	n, err := unix.Llistxattr(name, list)
	if err != nil {
		return nil, err
	}
	for attr := range strings.SplitSeq(strings.Trim(string(list[:n]), "\x00"), "\x00") {
		if attr == "" {
			continue
		}
		value := make([]byte, most)
		n, err := unix.Lgetxattr(name, attr, value)
		if err != nil {
			return nil, err
		}
		found[attr] = string(value[:n])
	}
	return found, nil
}

func digest(r io.Reader) (string, error) {
	hash := sha256.New()
	_, err := io.Copy(hash, r)
	return hex.EncodeToString(hash.Sum(nil)), err
}

func described(facts map[string]*fileFacts) pathTree {
	for _, f := range facts {
		slices.Sort(f.names)
	}
	tree := pathTree{}
	for p, f := range facts {
		tree[p] = f.String()
	}
	return tree
}

// without leaves out what belongs to the host, or to the runner.
func (tree pathTree) without() pathTree {
	hosts := []string{
		"dev", "proc", "sys", ".fastmcp-runner",
		"etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", ".dockerenv", "tmp/launcher.sh",
	}
	// The engine or the runner writes into these two, which changes their time.
	touched := []string{"etc", "tmp"}
	left := maps.Clone(tree)
	// The links that the runner's image has already keep their time.
	for _, p := range []string{"bin", "lib", "lib64", "sbin", "var/run"} {
		left[p] = regexp.MustCompile(`@\d+`).ReplaceAllString(left[p], "@")
	}
	maps.DeleteFunc(left, func(p, facts string) bool {
		return facts == "" || facts[0] == tar.TypeChar || facts[0] == tar.TypeBlock || slices.Contains(touched, p) ||
			slices.ContainsFunc(hosts, func(h string) bool { return p == h || strings.HasPrefix(p, h+"/") })
	})
	return left
}

// createFrom has the engine itself pull an image and create a container of it.
func (l *lab) createFrom(t *testing.T, path string, build func() (v1.Image, error)) string {
	t.Helper()
	l.store.push(t, path, must(t, build))
	f := &front{}
	f.open(t, l.store)
	ref := f.ref(path)
	l.must(t, "pull", "--quiet", ref)
	t.Cleanup(func() { l.cleanUp(t, "rmi", "--force", ref) })
	return l.create(t, ref)
}

// create creates a container that never runs.
func (l *lab) create(t *testing.T, image string) string {
	t.Helper()
	id := l.must(t, "create", image)
	t.Cleanup(func() { l.cleanUp(t, "rm", "--force", "--volumes", id) })
	return id
}

// cleanUp runs a docker command after a test.
func (l *lab) cleanUp(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), promptly)
	defer cancel()
	if _, err := l.engine.docker(ctx, args...); err != nil {
		t.Error(err)
	}
}

// TestTheLaidImageIsTheEnginesOwn holds what the runner lays against what the
// engine makes of the same image.
func TestTheLaidImageIsTheEnginesOwn(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	// What the runner's image has by itself is no part of the other one.
	premade := l.exported(t, l.create(t, rootfsTag))
	for _, tt := range []struct {
		name, path string
		build      func() (v1.Image, error)
	}{
		{"a Debian with layers above", "export/python:1", l.whole.python},
		{"everything that a file system can hold", "export/oddities:1", l.whole.oddities},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := l.exported(t, l.createFrom(t, tt.path, tt.build)).without()
			if len(want) == 0 {
				t.Fatal("the engine's own container is empty")
			}
			// As root of the image, so that nothing is given to another user.
			c := l.serve(t, tt.path, tt.build, start{runner: rootfsTag, env: []string{"RUNNER_USER=0", "MCP_ENV_PYTHONDONTWRITEBYTECODE=1"}})
			c.waitReady()
			laid := l.exported(t, c.id).without()
			for p := range premade {
				if want[p] == "" {
					delete(laid, p)
				}
			}
			if diff := cmp.Diff(want, laid); diff != "" {
				t.Errorf("laid in place, it differs (-engine +runner):\n%s", diff)
			}
			got, err := below(l.pullTo(t, tt.path))
			if err != nil {
				t.Fatal(err)
			}
			got = got.without()
			// The engine's archive leaves out the attributes of users.
			got["odd/noted"] = strings.Replace(got["odd/noted"], `map["user.note":"a\x01b"]`, "map[]", 1)
			if got["odd/noted"] == "" {
				delete(got, "odd/noted")
			}
			// The server's home is made where the image has none.
			if home := "root"; want[home] == "" {
				if !strings.HasPrefix(got[home], "5 0755 0:0 ") {
					t.Errorf("the server's home is %q", got[home])
				}
				delete(got, home)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("laid below a directory, it differs (-engine +runner):\n%s", diff)
			}
		})
	}
}

// pullTo lays an image that was pushed below a new directory of this machine.
func (l *lab) pullTo(t *testing.T, path string) string {
	t.Helper()
	f := &front{}
	f.open(t, l.store)
	dir := t.TempDir()
	l.must(t, "run", "--rm", "--network=host", "--volume="+dir+":/out", "--env=RUNNER_MODE=rootfs", "--env=RUNNER_USER=0", rootfsTag, "pull", f.ref(path), "--root", "/out")
	return dir
}
