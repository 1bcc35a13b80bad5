package program_test

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/program"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// taken is what the default allowlist takes, by a runner that may write anywhere.
func taken(t *testing.T) program.Taken {
	t.Helper()
	return program.Taken{Allows: allowed(t), Anywhere: true, Instead: func() string { return "RUNNER_MODE=rootfs" }}
}

// everything is the whole image.
func everything() program.Taken {
	return program.Taken{Instead: func() string { return "FROM runner:latest" }}
}

// allowed is the default allowlist.
func allowed(t *testing.T) func(string) bool {
	t.Helper()
	list, err := allowlist.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(p string) bool { return list.Allows(strings.TrimPrefix(p, "/")) }
}

func TestFindFinds(t *testing.T) {
	t.Parallel()
	glibc, musl := loaders()
	for _, tt := range []struct {
		name string
		tree tree
		plan launch.Plan
		want string
	}{
		{
			name: "trap 51: a name in the plan's PATH",
			tree: tree{"app/bin/server": static(), "usr/bin/server": static()},
			plan: planOf("/app/bin:/usr/bin", "server"),
			want: "/app/bin/server",
		},
		{
			name: "an absolute path",
			tree: tree{"srv/server": static()},
			plan: planOf("/bin", "/srv/server"),
			want: "/srv/server",
		},
		{
			name: "trap 52: a relative path, seen from the working directory",
			tree: tree{"app/bin/server": static()},
			plan: planOf("/bin", "./bin/server"),
			want: "/app/./bin/server",
		},
		{
			name: "relative and empty elements of PATH mean the working directory",
			tree: tree{"app/server": static()},
			plan: planOf("bin::/usr/bin", "server"),
			want: "/app/server",
		},
		{
			name: "what cannot be executed is passed over",
			tree: tree{"a/server/x": plain(""), "b/server": plain("data"), "c/server": static()},
			plan: planOf("/none:/a:/b:/c", "server"),
			want: "/c/server",
		},
		{
			name: "an absolute link stays in the root and its name is kept",
			tree: tree{"app/server": link("/opt/real"), "opt/real": static()},
			plan: planOf("/bin", "/app/server"),
			want: "/app/server",
		},
		{
			name: "a program with its dynamic loader",
			tree: tree{"app/server": executable(elfText(native(), elf.ET_DYN, glibc)), glibc: static()},
			plan: planOf("/app", "server"),
			want: "/app/server",
		},
		{
			name: "a program with the other dynamic loader",
			tree: tree{"app/server": executable(elfText(native(), elf.ET_DYN, musl)), musl: static()},
			plan: planOf("/app", "server"),
			want: "/app/server",
		},
		{
			name: "a script with its interpreter",
			tree: tree{"app/start": executable("#! /bin/sh -e\nexit\n"), "bin/sh": link("dash"), "bin/dash": static()},
			plan: planOf("/app", "start"),
			want: "/app/start",
		},
		{
			name: "a script whose interpreter env finds",
			tree: tree{
				"app/start": executable("#!/usr/bin/env -S FOO=1 -i python3 -u\n"), "usr/bin/env": static(), "usr/bin/python3": static(),
			},
			plan: planOf("/app:/usr/bin", "start"),
			want: "/app/start",
		},
		{
			name: "a script without a line end",
			tree: tree{"app/start": executable("#!/bin/sh"), "bin/sh": static()},
			plan: planOf("/app", "start"),
			want: "/app/start",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, _ := tt.tree.open(t)
			got, err := program.Find(root, tt.plan, taken(t))
			if err != nil {
				t.Fatal(err)
			}
			if got.Path != tt.want {
				t.Errorf("Path = %q, want %q", got.Path, tt.want)
			}
		})
	}
}

func TestFindSaysWhatToExec(t *testing.T) {
	t.Parallel()
	root, dir := tree{"app/server": link("/opt/real"), "opt/real": static()}.open(t)
	got, err := program.Find(root, planOf("/app", "server"), everything())
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "opt/real"); got.Exec != want {
		t.Errorf("Exec = %q, want %q: the kernel must not follow the link out of the root", got.Exec, want)
	}
}

func TestFindFindsRealPrograms(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := rootfs.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	user := ids.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	for _, name := range []string{"/bin/sh", "sh", self} {
		plan := planOf("/usr/bin:/bin", name)
		plan.User = user
		got, err := program.Find(root, plan, everything())
		if err != nil {
			t.Errorf("Find(%q): %v", name, err)
			continue
		}
		if got.Exec != got.Path || filepath.Base(got.Path) != filepath.Base(name) {
			t.Errorf("Find(%q) = %+v, want the same file inside and outside", name, got)
		}
	}
}

func TestFindSaysWhyNot(t *testing.T) {
	t.Parallel()
	glibc, musl := loaders()
	other, otherName := foreign()
	const search = "/app/.venv/bin:/usr/bin"
	for _, tt := range []struct {
		name string
		tree tree
		argv string
		want string
		hint string // a part of it
		code int
	}{
		{
			name: "a name that is nowhere",
			argv: "uvicorn",
			want: `cannot exec "uvicorn": not found in PATH="/app/.venv/bin:/usr/bin"`,
			hint: "RUNNER_ALLOW_PATHS",
			code: 127,
		},
		{
			name: "a path that is nowhere",
			argv: "/app/server",
			want: `cannot exec "/app/server": no such file: /app/server`,
			hint: "check the image's ENTRYPOINT, CMD and WORKDIR, or RUNNER_ENTRYPOINT and RUNNER_CMD if they are set",
			code: 127,
		},
		{
			name: "a script in the image whose interpreter the image lacks",
			tree: tree{"app/start": executable("#!/app/bin/tool\n")},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start needs the interpreter in its first line, "#!/app/bin/tool": no such file: /app/bin/tool`,
			hint: "check how it was built",
			code: 126,
		},
		{
			name: "a script of pip in the image whose Python this container has elsewhere",
			tree: tree{"app/bin/serve": executable("#!/usr/local/bin/python3.12\n"), "usr/bin/python3.12": static()},
			argv: "/app/bin/serve",
			want: `cannot exec "/app/bin/serve": /app/bin/serve needs the interpreter in its first line, "#!/usr/local/bin/python3.12": ` +
				`no such file: /usr/local/bin/python3.12, which is outside the allowlist`,
			hint: `RUNNER_ENTRYPOINT=["/usr/bin/python3.12","/app/bin/serve"]`,
			code: 126,
		},
		{
			name: "a path below a file",
			tree: tree{"app/server": static()},
			argv: "/app/server/x",
			want: `cannot exec "/app/server/x": no such file: /app/server/x lies below a file`,
			hint: "check the image's ENTRYPOINT",
			code: 127,
		},
		{
			name: "trap 53: a dangling link out of the allowlist",
			tree: tree{"app/.venv/bin/python": link("/usr/local/bin/python3.12"), "usr/bin/python": static(), "usr/bin/python3.11": static()},
			argv: "python",
			want: `cannot exec "python": /app/.venv/bin/python -> /usr/local/bin/python3.12, which is outside the allowlist`,
			hint: "this container has Python 3.11: build the image for it",
			code: 127,
		},
		{
			name: "trap 18: a chain of links that ends outside",
			tree: tree{"app/.venv/bin/python": link("python3"), "app/.venv/bin/python3": link("/usr/local/bin/python3.12")},
			argv: "/app/.venv/bin/python",
			want: `cannot exec "/app/.venv/bin/python": /app/.venv/bin/python -> python3 -> /usr/local/bin/python3.12, which is outside the allowlist`,
			hint: "this container has no Python",
			code: 127,
		},
		{
			name: "trap 53: a dangling link within the allowlist",
			tree: tree{"app/server": link("gone away")},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server -> "gone away", which does not exist`,
			code: 127,
		},
		{
			name: "links in a circle",
			tree: tree{"app/server": link("server")},
			argv: "/app/server",
			want: `cannot exec "/app/server": resolve /app/server: too many levels of symbolic links`,
			code: 126,
		},
		{
			name: "a directory",
			tree: tree{"app/server/x": plain("")},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server is a directory`,
			code: 126,
		},
		{
			name: "trap 53: not executable for anybody",
			tree: tree{"app/server": plain("#!/bin/sh\n")},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server is not executable for user 4242:4242 (mode 0644)`,
			hint: "chmod a+rx",
			code: 126,
		},
		{
			name: "trap 53: not executable for this user",
			tree: tree{"usr/bin/server": node{text: "#!/bin/sh\n", mode: 0o744}},
			argv: "server",
			want: `cannot exec "server": /usr/bin/server is not executable for user 4242:4242 (mode 0744)`,
			code: 126,
		},
		{
			name: "trap 53: another machine's program",
			tree: tree{"app/server": executable(elfText(other, elf.ET_EXEC, ""))},
			argv: "/app/server",
			want: fmt.Sprintf(`cannot exec "/app/server": /app/server is a program for %s, but this machine is %s`, otherName, runtime.GOARCH),
			hint: "linux/" + runtime.GOARCH,
			code: 126,
		},
		{
			name: "trap 53: musl's loader on a glibc base",
			tree: tree{"app/server": executable(elfText(native(), elf.ET_DYN, musl)), glibc: static()},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server was built for musl, but this container has glibc: its ELF interpreter ` + musl + ` is missing`,
			hint: "base with glibc",
			code: 126,
		},
		{
			name: "trap 53: glibc's loader on a musl base",
			tree: tree{"app/server": executable(elfText(native(), elf.ET_DYN, glibc)), musl: static()},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server was built for glibc, but this container has musl: its ELF interpreter ` + glibc + ` is missing`,
			hint: "base with musl",
			code: 126,
		},
		{
			name: "trap 53: a loader that nobody knows",
			tree: tree{"app/server": executable(elfText(native(), elf.ET_DYN, "/nix/store/ld.so")), glibc: static()},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server needs the ELF interpreter /nix/store/ld.so: no such file: /nix/store/ld.so, which is outside the allowlist`,
			hint: "link the program statically",
			code: 126,
		},
		{
			name: "trap 53: a 32-bit program of this machine without its loader",
			tree: tree{"app/server": executable(elf32Text(native32(), binary.LittleEndian, "/lib/ld-linux.so.2"))},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server needs the ELF interpreter /lib/ld-linux.so.2: no such file: /lib/ld-linux.so.2, which is outside the allowlist`,
			code: 126,
		},
		{
			name: "trap 53: a program of a machine with another order of bytes",
			tree: tree{"app/server": executable(elf32Text(elf.EM_PPC64, binary.BigEndian, "/lib/ld64.so.1"))},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server is a program for ppc64, but this machine is ` + runtime.GOARCH,
			code: 126,
		},
		{
			name: "trap 53: a program of a machine that images do not name",
			tree: tree{"app/server": executable(elf32Text(elf.EM_SPARC, binary.BigEndian, "/lib/ld.so"))},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server is a program for EM_SPARC, but this machine is ` + runtime.GOARCH,
			code: 126,
		},
		{
			name: "an object file",
			tree: tree{"app/server": executable(elfText(native(), elf.ET_REL, ""))},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server is no program, but an ELF file of type ET_REL`,
			code: 126,
		},
		{
			name: "half a program",
			tree: tree{"app/server": executable(elfText(native(), elf.ET_EXEC, "")[:80])},
			argv: "/app/server",
			want: `cannot exec "/app/server": /app/server is a damaged program: unexpected EOF`,
			code: 126,
		},
		{
			name: "trap 53: a script without its interpreter",
			tree: tree{"app/start": executable("#!/bin/bash -e\n")},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start needs the interpreter in its first line, "#!/bin/bash -e": no such file: /bin/bash, which is outside the allowlist`,
			hint: "bash",
			code: 126,
		},
		{
			name: "trap 53: a script of a virtual environment whose python dangles",
			tree: tree{
				"app/.venv/bin/uvicorn": executable("#!/app/.venv/bin/python\nimport sys\n"),
				"app/.venv/bin/python":  link("/usr/local/bin/python3.12"),
			},
			argv: "uvicorn",
			want: `cannot exec "uvicorn": /app/.venv/bin/uvicorn needs the interpreter in its first line, "#!/app/.venv/bin/python": ` +
				`/app/.venv/bin/python -> /usr/local/bin/python3.12, which is outside the allowlist`,
			code: 126,
		},
		{
			name: "trap 53: a script whose interpreter env does not find",
			tree: tree{"app/start": executable("#!/usr/bin/env python3\n"), "usr/bin/env": static()},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start needs the interpreter in its first line, "#!/usr/bin/env python3": not found in PATH="/app/.venv/bin:/usr/bin"`,
			hint: "this container has no Python",
			code: 126,
		},
		{
			name: "env takes all of the rest for one name",
			tree: tree{"app/start": executable("#!/usr/bin/env sh -e\n"), "usr/bin/env": static(), "usr/bin/sh": static()},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start needs the interpreter in its first line, "#!/usr/bin/env sh -e": not found in PATH="/app/.venv/bin:/usr/bin"`,
			code: 126,
		},
		{
			name: "trap 53: CR LF in the first line",
			tree: tree{"app/start": executable("#!/bin/sh\r\nexit\r\n"), "bin/sh": static()},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start: its first line ends in CR LF, so that the interpreter's name ends in a carriage return`,
			hint: "Unix line ends",
			code: 126,
		},
		{
			name: "a first line without an interpreter",
			tree: tree{"app/start": executable("#! \n")},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start: its first line names no interpreter`,
			code: 126,
		},
		{
			name: "a first line that the kernel does not read to its end",
			tree: tree{"app/start": executable("#!/" + strings.Repeat("x", 300) + "\n")},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start: its first line is longer than 256 bytes`,
			code: 126,
		},
		{
			name: "a script that is its own interpreter",
			tree: tree{"a": executable("#!/a\n")},
			argv: "/a",
			want: `cannot exec "/a": ` + strings.Repeat(`/a needs the interpreter in its first line, "#!/a": `, 5) +
				`/a is a script for a script for a script, and so on: too many`,
			code: 126,
		},
		{
			name: "trap 53: text without a first line",
			tree: tree{"app/start": executable("echo hello\n")},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start is neither a program nor a script that begins with #!`,
			hint: "#!/bin/sh",
			code: 126,
		},
		{
			name: "an empty file",
			tree: tree{"app/start": executable("")},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start is empty`,
			code: 126,
		},
		{
			name: "a byte order mark",
			tree: tree{"app/start": executable("\xef\xbb\xbf#!/bin/sh\n")},
			argv: "/app/start",
			want: `cannot exec "/app/start": /app/start begins with a byte order mark before its #!`,
			code: 126,
		},
		{
			name: "a program for Windows",
			tree: tree{"app/server.exe": executable("MZ\x90\x00")},
			argv: "/app/server.exe",
			want: `cannot exec "/app/server.exe": /app/server.exe is a program for Windows`,
			code: 126,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, _ := tt.tree.open(t)
			_, err := program.Find(root, planOf(search, tt.argv), taken(t))
			wantError(t, err, tt.want, tt.hint, tt.code)
		})
	}
}

func TestFindLooksAtTheDirectoriesAbove(t *testing.T) {
	t.Parallel()
	root, dir := tree{"home/node/server": static()}.open(t)
	if err := os.Chmod(filepath.Join(dir, "home/node"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := program.Find(root, planOf("", "/home/node/server"), everything())
	wantError(t, err, `cannot exec "/home/node/server": /home/node/server lies in /home/node, which user 4242:4242 may not enter (mode 0700)`, "chmod", 126)
}

func TestFindRecognisesANoexecMount(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	root, dir := tree{"app/x": plain("")}.open(t)
	app := filepath.Join(dir, "app")
	if err := unix.Mount("tmpfs", app, "tmpfs", unix.MS_NOEXEC, "size=64k,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(app, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	write(t, filepath.Join(app, "server"), static())
	_, err := program.Find(root, planOf("/app", "server"), everything())
	wantError(t, err, `cannot exec "server": /app/server lies on a file system that is mounted noexec`, "without noexec", 126)
}

// wantError checks an error's text, a part of its hint and its code.
func wantError(t *testing.T, err error, want, wantHint string, code int) {
	t.Helper()
	failed, ok := errors.AsType[*program.Error](err)
	if !ok {
		t.Fatalf("error %v, want %q", err, want)
	}
	if failed.Error() != want {
		t.Errorf("error\n%s, want\n%s", failed, want)
	}
	if got := hint.Of(err); !strings.Contains(got, wantHint) {
		t.Errorf("hint %q, want %q in it", got, wantHint)
	}
	if failed.ExitCode() != code {
		t.Errorf("exit code %d, want %d", failed.ExitCode(), code)
	}
}

func TestEarly(t *testing.T) {
	t.Parallel()
	const debian = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, tt := range []struct {
		name string
		tree tree
		plan launch.Plan
		want string // "" if the plan may work
		hint string
	}{
		{
			name: "a name that the container has",
			tree: tree{"usr/bin/python3.12": static()},
			plan: planOf(debian, "python3.12"),
		},
		{
			name: "a name that the image may bring",
			plan: planOf("/app/.venv/bin:"+debian, "uvicorn"),
		},
		{
			name: "a Node image on a container without Node",
			plan: planOf(debian, "node", "index.js"),
			want: `cannot exec "node": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "take the whole image by RUNNER_MODE=rootfs, use a base for this container that has node",
		},
		{
			name: "a Python of another minor version",
			tree: tree{"usr/bin/python3.12": static(), "usr/bin/python3": link("python3.12")},
			plan: planOf(debian, "python3.11"),
			want: `cannot exec "python3.11": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "this container has Python 3.12",
		},
		{
			name: "a Python without a version, which may be the container's",
			tree: tree{"usr/bin/python3.12": static()},
			plan: planOf(debian, "python", "server.py", "it's"),
			want: `cannot exec "python": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: `this container has Python 3.12 as /usr/bin/python3.12: if the image fits it, RUNNER_ENTRYPOINT=["/usr/bin/python3.12","server.py","it's"]`,
		},
		{
			name: "the Python of an official image, which is the container's",
			tree: tree{"usr/bin/python3.12": static(), "usr/bin/python3.13": static()},
			plan: planOf(debian, "/usr/local/bin/python3", "-m", "server").WithEnv("PYTHON_VERSION", "3.12.11"),
			want: `cannot exec "/usr/local/bin/python3": /usr/local/bin/python3 is outside the allowlist, and this container has no such file`,
			hint: `this container has Python 3.12 as /usr/bin/python3.12: RUNNER_ENTRYPOINT=["/usr/bin/python3.12","-m","server"]`,
		},
		{
			name: "the Python of an official image, which is not the container's",
			tree: tree{"usr/bin/python3.12": static()},
			plan: planOf(debian, "python").WithEnv("PYTHON_VERSION", "3.14.0"),
			want: `cannot exec "python": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "this container has Python 3.12: build the image for it, take the whole image by RUNNER_MODE=rootfs",
		},
		{
			name: "a script of pip on an official Python image",
			tree: tree{"usr/bin/python3.12": static()},
			plan: planOf(debian, "mcp-server-time", "--local-timezone=UTC").WithEnv("PYTHON_VERSION", "3.12.11"),
			want: `cannot exec "mcp-server-time": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: `if pip installed mcp-server-time, start its module by RUNNER_ENTRYPOINT=["/usr/bin/python3.12","-m","mcp_server_time","--local-timezone=UTC"], ` +
				"or install it into a virtual environment in /app; otherwise take the whole image by RUNNER_MODE=rootfs",
		},
		{
			name: "a script of pip for a Python that this container has not",
			tree: tree{"usr/bin/python3.12": static()},
			plan: planOf(debian, "uvicorn").WithEnv("PYTHON_VERSION", "3.11.4"),
			want: `cannot exec "uvicorn": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "take the whole image by RUNNER_MODE=rootfs",
		},
		{
			name: "a command in shell form, which this container's shell would not find",
			tree: tree{"bin/sh": static()},
			plan: planOf(debian, "/bin/sh", "-c", "exec node index.js --port $PORT"),
			want: `cannot exec "node": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "take the whole image by RUNNER_MODE=rootfs, use a base for this container that has node",
		},
		{
			name: "a path in shell form",
			tree: tree{"bin/sh": static()},
			plan: planOf(debian, "sh", "-c", "/usr/local/bin/uv run server.py"),
			want: `cannot exec "/usr/local/bin/uv": /usr/local/bin/uv is outside the allowlist, and this container has no such file`,
			hint: "take the whole image by RUNNER_MODE=rootfs",
		},
		{
			name: "uv, which the container has not",
			plan: planOf(debian, "uv", "run", "server.py"),
			want: `cannot exec "uv": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "take the whole image by RUNNER_MODE=rootfs",
		},
		{
			name: "what the image may bring, in shell form",
			tree: tree{"bin/sh": static()},
			plan: planOf(debian, "/bin/sh", "-c", "/app/start.sh && node"),
		},
		{
			name: "a script that begins with what only a shell understands",
			tree: tree{"bin/sh": static()},
			plan: planOf(debian, "/bin/sh", "-c", "cd /app && ./server"),
		},
		{
			name: "a script that sets a variable first",
			tree: tree{"bin/sh": static()},
			plan: planOf(debian, "/bin/sh", "-c", "PATH=/app/bin node"),
		},
		{
			name: "a word that the shell expands",
			tree: tree{"bin/sh": static()},
			plan: planOf(debian, "/bin/sh", "-c", "$SERVER"),
		},
		{
			name: "a program in shell form, with all that follows from it",
			tree: tree{"bin/sh": static()},
			plan: planOf(debian, "/bin/sh", "-c", "uv sync && uv run server.py 2>&1", "sh"),
			want: `cannot exec "uv": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "take the whole image by RUNNER_MODE=rootfs",
		},
		{
			name: "a script of pip in shell form",
			tree: tree{"bin/sh": static(), "usr/bin/python3.12": static()},
			plan: planOf(debian, "/bin/sh", "-c", "exec c --port $PORT").WithEnv("PYTHON_VERSION", "3.12.11"),
			want: `cannot exec "c": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: `start its module by RUNNER_ENTRYPOINT=["/bin/sh","-c","exec /usr/bin/python3.12 -m c --port $PORT"]`,
		},
		{
			name: "a Python without a version in shell form",
			tree: tree{"bin/sh": static(), "usr/bin/python3.12": static()},
			plan: planOf(debian, "/bin/sh", "-c", "python server.py"),
			want: `cannot exec "python": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: `if the image fits it, RUNNER_ENTRYPOINT=["/bin/sh","-c","/usr/bin/python3.12 server.py"]`,
		},
		{
			name: "the entrypoint script of an official image",
			plan: planOf(debian, "docker-entrypoint.sh"),
			want: `cannot exec "docker-entrypoint.sh": not found in PATH="` + debian + `", and the directories in it are outside the allowlist`,
			hint: "take the whole image by RUNNER_MODE=rootfs, name the program that docker-entrypoint.sh starts by RUNNER_ENTRYPOINT",
		},
		{
			name: "an absolute path in the allowlist",
			plan: planOf(debian, "/app/server"),
		},
		{
			name: "an absolute path that the container has",
			tree: tree{"bin": link("usr/bin"), "usr/bin/sh": static()},
			plan: planOf(debian, "/bin/sh", "/app/server.sh"),
		},
		{
			name: "an absolute path outside",
			plan: planOf(debian, "/usr/local/bin/server"),
			want: `cannot exec "/usr/local/bin/server": /usr/local/bin/server is outside the allowlist, and this container has no such file`,
			hint: "RUNNER_ALLOW_PATHS",
		},
		{
			name: "a path that leaves the allowlist",
			plan: planOf(debian, "/app/../server"),
			want: `cannot exec "/app/../server": /server is outside the allowlist, and this container has no such file`,
		},
		{
			name: "trap 52: a relative path below an allowed working directory",
			plan: planOf(debian, "./server"),
		},
		{
			name: "trap 52: a relative path below a working directory outside",
			plan: launch.Plan{Argv: []string{"./server"}, Dir: "/workspace"},
			want: `cannot exec "./server": /workspace/server is outside the allowlist, and this container has no such file`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, _ := tt.tree.open(t)
			err := program.Early(root, tt.plan, taken(t))
			if tt.want != "" {
				wantError(t, err, tt.want, tt.hint, 127)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	root, _ := tree{}.open(t)
	if err := program.Early(root, planOf(debian, "node"), everything()); err != nil {
		t.Errorf("Early refuses what an image taken as a whole may bring: %v", err)
	}
}

// A shell goes on after a program that it has not found, and the next one may be
// the server.
func TestEarlyLeavesScriptsThatGoOn(t *testing.T) {
	t.Parallel()
	root, _ := tree{"bin/bash": static()}.open(t)
	for _, script := range []string{
		"uv sync; /app/server",
		"uv sync\n/app/server",
		"uv run server.py || /app/server",
		"uv sync && uv run server.py || /app/server",
		"nginx & /app/server",
		"yes | /app/server",
		"serve () ( exec /app/server ) && serve",
		"exec -a acme /app/server",
		"chdir /app && ./server",
		"builtin cd /app && ./server",
		"exec",
		"",
	} {
		if err := program.Early(root, planOf("/usr/bin", "/bin/bash", "-c", script), taken(t)); err != nil {
			t.Errorf("%q: %v", script, err)
		}
	}
}

// An image that is built on another minor version of Python may need none of its
// packages, or bring them with a Python of their own.
func TestDoubts(t *testing.T) {
	t.Parallel()
	const doubt = "the image is built on Python 3.13, and this container has 3.12: what is installed for 3.13 is not found or does not start here, " +
		"unless the image keeps a Python 3.13 below /app; take the whole image by RUNNER_MODE=rootfs"
	container := tree{"usr/bin/python3.12": static(), "usr/bin/python": link("python3.12")}
	for _, tt := range []struct {
		name    string
		tree    tree
		argv    []string
		version string
		want    []string
	}{
		{"another minor version", container, []string{"python", "server.py"}, "3.13.2", []string{doubt}},
		{"in shell form", container, []string{"/bin/sh", "-c", "cd src && python server.py"}, "3.13.2", []string{doubt}},
		{"the program of a virtual environment", container, []string{"/app/.venv/bin/uvicorn"}, "3.13.2", []string{doubt}},
		{"the same version", container, []string{"python", "server.py"}, "3.12.1", nil},
		{"none is told", container, []string{"python", "server.py"}, "", nil},
		{"a container without Python", tree{}, []string{"/app/server"}, "3.13.2", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, _ := tt.tree.open(t)
			plan := planOf("/usr/bin", tt.argv...).WithEnv("PYTHON_VERSION", tt.version)
			if got := program.Doubts(root, plan, taken(t)); !slices.Equal(got, tt.want) {
				t.Errorf("Doubts = %q, want %q", got, tt.want)
			}
			if got := program.Doubts(root, plan, everything()); got != nil {
				t.Errorf("of a whole image: %q", got)
			}
		})
	}
}

// What a whole image lacks and the runner's usual image has is not the image's
// fault.
func TestAWholeImageThatCountsOnOurPython(t *testing.T) {
	t.Parallel()
	const ours = "the image has no Python of its own: for one that is built for the runner's, FROM runner:latest"
	for _, tt := range []struct {
		name    string
		tree    tree
		command string
		hint    string
	}{
		{"a virtual environment", tree{"app/.venv/bin/python": link("/usr/local/bin/python3.12")}, "/app/.venv/bin/python", ours},
		{"a name", nil, "python3", ours},
		{"a path", nil, "/usr/bin/python3.12", ours},
		{"a script", tree{"app/serve": executable("#!/usr/bin/python3\n")}, "/app/serve", ours},
		{"a version that the runner has not", tree{"app/.venv/bin/python": link("/usr/bin/python3.13")}, "/app/.venv/bin/python", "the image itself lacks it"},
		{"no Python", nil, "node", "check the image's ENTRYPOINT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, _ := tt.tree.open(t)
			_, err := program.Find(root, planOf("/usr/bin", tt.command), everything())
			var failed *program.Error
			if !errors.As(err, &failed) || !strings.HasPrefix(hint.Of(err), tt.hint) {
				t.Errorf("Find = %v, want the hint %q", failed, tt.hint)
			}
		})
	}
}

func TestWhoMayNotWriteAnywhereIsNotToldToTakeMore(t *testing.T) {
	t.Parallel()
	root, _ := tree{}.open(t)
	bound := taken(t)
	bound.Anywhere = false
	var failed *program.Error
	if err := program.Early(root, planOf("/usr/bin", "node"), bound); !errors.As(err, &failed) || strings.Contains(hint.Of(err), "RUNNER_ALLOW_PATHS") {
		t.Errorf("Early = %v, with a hint that would be refused", failed)
	}
}
