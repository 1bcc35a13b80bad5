package program_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/program"
)

const (
	venvPath  = "/app/.venv/bin:/usr/local/bin:/usr/bin"
	usualPath = "/usr/local/bin:/usr/bin"
)

func TestMendsOfVirtualEnvironments(t *testing.T) {
	t.Parallel()
	const note = "/app/.venv/bin/python in the virtual environment /app/.venv now leads to /usr/bin/python3.12 of this container instead of /usr/local/bin/python3.12, which is not here"
	for _, tt := range []struct {
		name string
		tree tree
		path string
		want map[string]string // links that changed
		note string
	}{
		{
			name: "a link to an interpreter outside the allowlist leads to the container's",
			tree: tree{
				"app/.venv/pyvenv.cfg": plain("home = /usr/local/bin\nversion = 3.12.4\n"),
				"app/.venv/bin/python": link("/usr/local/bin/python3.12"),
				"usr/bin/python3.12":   static(),
			},
			want: map[string]string{"app/.venv/bin/python": "/usr/bin/python3.12"},
			note: note,
		},
		{
			name: "of a chain, the link that leaves is changed",
			tree: tree{
				"app/.venv/pyvenv.cfg":     plain("version_info = 3.12.4.final.0\n"),
				"app/.venv/bin/python":     link("/usr/local/bin/python3"),
				"app/.venv/bin/python3":    link("python"),
				"app/.venv/bin/python3.12": link("python"),
				"usr/bin/python3.12":       static(),
			},
			want: map[string]string{"app/.venv/bin/python": "/usr/bin/python3.12"},
			note: strings.Replace(note, "/usr/local/bin/python3.12", "/usr/local/bin/python3", 1),
		},
		{
			name: "a virtual environment that PATH does not name",
			tree: tree{
				"app/.venv/pyvenv.cfg": plain(""), "app/.venv/bin/python": link("/usr/local/bin/python3.12"), "usr/bin/python3.12": static(),
			},
			path: usualPath,
			want: map[string]string{"app/.venv/bin/python": "/usr/bin/python3.12"},
			note: note,
		},
		{
			name: "a container with another minor version mends nothing",
			tree: tree{
				"app/.venv/pyvenv.cfg": plain("version = 3.11.2\n"), "app/.venv/bin/python": link("/usr/local/bin/python3.11"), "usr/bin/python3.12": static(),
			},
		},
		{
			name: "a version that nothing tells mends nothing",
			tree: tree{
				"app/.venv/pyvenv.cfg": plain("version = 4.12\n"), "app/.venv/bin/python": link("/usr/local/bin/python3"), "usr/bin/python3.12": static(),
			},
		},
		{
			name: "a link that works is left alone",
			tree: tree{
				"app/.venv/pyvenv.cfg": plain("version = 3.12.4\n"), "app/.venv/bin/python": link("/opt/python3.12"),
				"opt/python3.12": static(), "usr/bin/python3.12": static(),
			},
		},
		{
			name: "a directory without a pyvenv.cfg is no virtual environment",
			tree: tree{"app/.venv/bin/python": link("/usr/local/bin/python3.12"), "usr/bin/python3.12": static()},
		},
		{
			name: "another implementation is left alone",
			tree: tree{
				"app/.venv/pyvenv.cfg": plain("implementation = PyPy\nversion = 3.12.4\n"),
				"app/.venv/bin/python": link("/usr/local/bin/python3.12"), "usr/bin/python3.12": static(),
			},
		},
		{
			name: "a link to something else than a Python is left alone",
			tree: tree{
				"app/.venv/pyvenv.cfg": plain("version = 3.12.4\n"),
				"app/.venv/bin/python": link("/usr/local/bin/pypy3"), "app/.venv/bin/uv": link("/usr/local/bin/python3.12"), "usr/bin/python3.12": static(),
			},
		},
		{
			name: "a virtual environment of the container itself is left alone",
			tree: tree{
				"usr/local/pyvenv.cfg": plain("version = 3.12.4\n"), "usr/local/bin/python": link("/nowhere/python3.12"), "usr/bin/python3.12": static(),
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, dir := tt.tree.open(t)
			before := links(t, dir)
			if tt.path == "" {
				tt.path = venvPath
			}
			plan := planOf(tt.path, "python", "-m", "server")
			mends := program.FindMends(root, plan, allowed(t))
			if diff := cmp.Diff(before, links(t, dir)); diff != "" {
				t.Errorf("FindMends changed links:\n%s", diff)
			}
			if got := strings.Join(mends.Notes, "\n"); got != tt.note {
				t.Errorf("notes\n%s, want\n%s", got, tt.note)
			}
			if err := mends.Apply(root); err != nil {
				t.Fatal(err)
			}
			maps.Copy(before, tt.want)
			if diff := cmp.Diff(before, links(t, dir)); diff != "" {
				t.Errorf("links: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(plan, mends.Plan); diff != "" {
				t.Errorf("the plan changed: -want +got\n%s", diff)
			}
			if len(tt.want) > 0 && tt.path == venvPath {
				if _, err := program.Find(root, mends.Plan, taken(t)); err != nil {
					t.Errorf("the program is not there after the mend: %v", err)
				}
			}
		})
	}
}

// links returns all symbolic links below a directory.
func links(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.Type() != os.ModeSymlink {
			return err
		}
		target, err := os.Readlink(name)
		found[strings.TrimPrefix(name, dir+"/")] = target
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestApplyReplacesOnlyTheLinkItWasDecidedFor(t *testing.T) {
	t.Parallel()
	root, dir := tree{
		"app/.venv/pyvenv.cfg": plain("version = 3.12.4\n"), "app/.venv/bin/python": link("/usr/local/bin/python3.12"), "usr/bin/python3.12": static(),
	}.open(t)
	mends := program.FindMends(root, planOf(venvPath, "python"), allowed(t))
	name := filepath.Join(dir, "app/.venv/bin/python")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	write(t, name, link("elsewhere"))
	err := mends.Apply(root)
	const want = `cannot point "/app/.venv/bin/python" at "/usr/bin/python3.12": it is no longer a link to "/usr/local/bin/python3.12"`
	if err == nil || err.Error() != want {
		t.Errorf("Apply = %v, want %q", err, want)
	}
}

func TestApplyKeepsTheOwnerOfTheLink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	root, dir := tree{
		"app/.venv/pyvenv.cfg": plain("version = 3.12.4\n"), "app/.venv/bin/python": link("/usr/local/bin/python3.12"), "usr/bin/python3.12": static(),
		"app/.venv/bin/.fastmcp-runner-link": plain("left over by a start that was cut short"),
	}.open(t)
	name := filepath.Join(dir, "app/.venv/bin/python")
	if err := os.Lchown(name, 4242, 4243); err != nil {
		t.Fatal(err)
	}
	if err := program.FindMends(root, planOf(venvPath, "python"), allowed(t)).Apply(root); err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Lstat(name, &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Uid != 4242 || stat.Gid != 4243 {
		t.Errorf("the new link belongs to %d:%d, want 4242:4243", stat.Uid, stat.Gid)
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("bin holds %v, want python alone", entries)
	}
}

func TestMendsOfPackages(t *testing.T) {
	t.Parallel()
	const fastmcp = "usr/local/lib/python3.12/site-packages/fastmcp/__init__.py"
	const onPath = "the packages in /usr/local/lib/python3.12/site-packages are put on PYTHONPATH: the Python 3.12 of this container does not search there"
	debianSite := plain("# local/lib/python3.12/dist-packages\n")
	for _, tt := range []struct {
		name string
		tree tree
		argv []string
		path string
		own  string // the image's PYTHONPATH
		want string
		note string
	}{
		{
			name: "packages of another prefix are put on PYTHONPATH",
			tree: tree{fastmcp: plain(""), "usr/bin/python3.12": static()},
			want: "/usr/local/lib/python3.12/site-packages",
			note: onPath,
		},
		{
			name: "behind the image's own",
			tree: tree{fastmcp: plain(""), "usr/bin/python3.12": static()},
			own:  "/app/src",
			want: "/app/src:/usr/local/lib/python3.12/site-packages",
			note: onPath,
		},
		{
			name: "but not a second time",
			tree: tree{fastmcp: plain(""), "usr/bin/python3.12": static()},
			own:  "/usr/local/lib/python3.12/site-packages:/app",
			want: "/usr/local/lib/python3.12/site-packages:/app",
		},
		{
			name: "a Python searches its own prefix",
			tree: tree{fastmcp: plain(""), "usr/local/bin/python3.12": static()},
		},
		{
			name: "Debian's Python searches no site-packages",
			tree: tree{fastmcp: plain(""), "usr/bin/python3.12": static(), "usr/lib/python3.12/site.py": debianSite},
			want: "/usr/local/lib/python3.12/site-packages",
			note: onPath,
		},
		{
			name: "but dist-packages",
			tree: tree{
				"usr/local/lib/python3.12/dist-packages/fastmcp.py": plain(""),
				"usr/bin/python3.12": static(), "usr/lib/python3.12/site.py": debianSite,
			},
		},
		{
			name: "which nobody else does",
			tree: tree{"usr/local/lib/python3.12/dist-packages/fastmcp.py": plain(""), "usr/local/bin/python3.12": static()},
			want: "/usr/local/lib/python3.12/dist-packages",
			note: strings.Replace(onPath, "site-packages", "dist-packages", 1),
		},
		{
			name: "packages for another minor version are of no use",
			tree: tree{fastmcp: plain(""), "usr/bin/python3.11": static()},
		},
		{
			name: "a virtual environment has its own packages",
			tree: tree{
				fastmcp: plain(""), "usr/bin/python3.12": static(),
				"app/.venv/pyvenv.cfg": plain("version = 3.12.4\n"), "app/.venv/bin/python": link("/usr/bin/python3.12"),
			},
			path: venvPath,
		},
		{
			name: "so has a script of one",
			tree: tree{
				fastmcp: plain(""), "usr/bin/python3.12": static(), "app/.venv/bin/start": executable("#!/app/.venv/bin/python\n"),
				"app/.venv/pyvenv.cfg": plain("version = 3.12.4\n"), "app/.venv/bin/python": link("/usr/bin/python3.12"),
			},
			argv: []string{"/app/.venv/bin/start"},
		},
		{
			name: "and a script that env starts in one",
			tree: tree{
				fastmcp: plain(""), "usr/bin/python3.12": static(), "app/start": executable("#!/usr/bin/env python\n"),
				"app/.venv/pyvenv.cfg": plain("version = 3.12.4\n"), "app/.venv/bin/python": link("/usr/bin/python3.12"),
			},
			argv: []string{"./start"}, path: venvPath,
		},
		{
			name: "unless it was made to see those of the system",
			tree: tree{
				fastmcp: plain(""), "usr/bin/python3.12": static(),
				"app/.venv/pyvenv.cfg": plain("version = 3.12.4\ninclude-system-site-packages = true\n"), "app/.venv/bin/python": link("/usr/bin/python3.12"),
			},
			path: venvPath,
			want: "/usr/local/lib/python3.12/site-packages",
			note: onPath,
		},
		{
			name: "a Python that the image brings knows where its packages are",
			tree: tree{fastmcp: plain(""), "usr/bin/python3.12": static(), "opt/conda/bin/python": static()},
			path: "/opt/conda/bin:/usr/bin",
		},
		{
			name: "a shell may start a Python",
			tree: tree{fastmcp: plain(""), "usr/bin/python3.12": static(), "bin/sh": static()},
			argv: []string{"/bin/sh", "-c", "python3 -m server"},
			want: "/usr/local/lib/python3.12/site-packages",
			note: onPath,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, _ := tt.tree.open(t)
			if tt.path == "" {
				tt.path = usualPath
			}
			if tt.argv == nil {
				tt.argv = []string{"python", "-m", "server"}
			}
			plan := planOf(tt.path, tt.argv...)
			if tt.own != "" {
				plan = plan.WithEnv("PYTHONPATH", tt.own)
			}
			mends := program.FindMends(root, plan, allowed(t))
			got, _ := mends.Plan.Lookup("PYTHONPATH")
			if want := tt.want; got != want {
				t.Errorf("PYTHONPATH = %q, want %q", got, want)
			}
			if note := strings.Join(mends.Notes, "\n"); note != tt.note {
				t.Errorf("notes %q, want %q", note, tt.note)
			}
			if whole := program.FindMends(root, plan, nil); len(whole.Notes) > 0 {
				t.Errorf("an image taken as a whole gets mends: %q", whole.Notes)
			}
		})
	}
}
