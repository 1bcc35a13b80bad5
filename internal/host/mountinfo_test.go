package host_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func TestParseMountinfo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, line string
		want       host.Mount
		readOnly   bool
	}{
		{
			name: "the example of the man page",
			line: "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
			want: host.Mount{
				Point: "/mnt2", Root: "/mnt1", Type: "ext3", Source: "/dev/root", Device: "98:0",
				Options: []string{"rw", "noatime"}, SuperOptions: []string{"rw", "errors=continue"},
			},
		},
		{
			name: "no optional field, as on gVisor",
			line: "36 35 0:36 / / rw - overlay none rw",
			want: host.Mount{
				Point: "/", Root: "/", Type: "overlay", Source: "none", Device: "0:36",
				Options: []string{"rw"}, SuperOptions: []string{"rw"},
			},
		},
		{
			name: "several optional fields, and a read-only mount of a writable file system",
			line: "1 2 0:1 / /a ro shared:1 master:2 propagate_from:3 unbindable - ext4 /dev/vda rw",
			want: host.Mount{
				Point: "/a", Root: "/", Type: "ext4", Source: "/dev/vda", Device: "0:1",
				Options: []string{"ro"}, SuperOptions: []string{"rw"},
			},
			readOnly: true,
		},
		{
			name: "a writable mount of a read-only file system",
			line: "1 2 0:1 / /a rw - squashfs /dev/loop3 ro,errors=continue",
			want: host.Mount{
				Point: "/a", Root: "/", Type: "squashfs", Source: "/dev/loop3", Device: "0:1",
				Options: []string{"rw"}, SuperOptions: []string{"ro", "errors=continue"},
			},
			readOnly: true,
		},
		{
			name: "trap 35: space, tab, newline and backslash are escaped",
			line: `1 2 0:1 /my\040root /my\040point\011a\012b\134c\134040 rw - 9p C:\134 rw,path=C:\134a\040b`,
			want: host.Mount{
				Point: "/my point\ta\nb\\c\\040", Root: "/my root", Type: "9p", Source: `C:\`, Device: "0:1",
				Options: []string{"rw"}, SuperOptions: []string{"rw", `path=C:\a b`},
			},
		},
		{
			name: "a backslash that escapes nothing stays",
			line: `1 2 0:1 / /a\b\08\400\4 rw - ext4 \ rw`,
			want: host.Mount{
				Point: `/a\b\08\400\4`, Root: "/", Type: "ext4", Source: `\`, Device: "0:1",
				Options: []string{"rw"}, SuperOptions: []string{"rw"},
			},
		},
		{
			name: "no source",
			line: "1 2 0:1 / /tmp rw shared:5 - tmpfs  rw,size=8192000k",
			want: host.Mount{
				Point: "/tmp", Root: "/", Type: "tmpfs", Source: "", Device: "0:1",
				Options: []string{"rw"}, SuperOptions: []string{"rw", "size=8192000k"},
			},
		},
		{
			name: "spaces in the last field, as on WSL 2",
			line: `1 2 0:1 / /Docker/host rw,noatime - 9p drvfs rw,aname=drvfs;path=C:\Program Files\Docker;symlinkroot=/mnt/,mmap`,
			want: host.Mount{
				Point: "/Docker/host", Root: "/", Type: "9p", Source: "drvfs", Device: "0:1",
				Options:      []string{"rw", "noatime"},
				SuperOptions: []string{"rw", `aname=drvfs;path=C:\Program Files\Docker;symlinkroot=/mnt/`, "mmap"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := host.ParseMountinfo(tt.line + "\n")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]host.Mount{tt.want}, got); diff != "" {
				t.Errorf("ParseMountinfo: -want +got\n%s", diff)
			}
			if got[0].ReadOnly() != tt.readOnly {
				t.Errorf("ReadOnly = %t, want %t", got[0].ReadOnly(), tt.readOnly)
			}
		})
	}
}

func TestParseMountinfoRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"an empty line", "\n", "cannot parse line 1 of mountinfo: there are not six fields before the separator"},
		{"no separator", "1 2 0:1 / /a rw ext4 /dev/vda rw\n", "cannot parse line 1 of mountinfo: there are not six fields before the separator"},
		{"nothing after the separator", "1 2 0:1 / /a rw - ext4 /dev/vda\n", "cannot parse line 1 of mountinfo: there are not three fields after the separator"},
		{"a relative mount point", "1 2 0:1 / a rw - ext4 /dev/vda rw\n", `cannot parse line 1 of mountinfo: the mount point "a" is not absolute`},
		{"a later line", "1 2 0:1 / / rw - ext4 /dev/vda rw\n1 2\n", "cannot parse line 2 of mountinfo: there are not six fields before the separator"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mounts, err := host.ParseMountinfo(tt.text)
			if err == nil {
				t.Fatalf("ParseMountinfo = %+v, want an error", mounts)
			}
			if err.Error() != tt.want {
				t.Errorf("ParseMountinfo: error %q, want %q", err, tt.want)
			}
		})
	}
}

func TestMountPoints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, host, root string
		want             []string
	}{
		{
			name: "trap 35: files, mounts within mounts, and names with spaces, newlines and backslashes",
			host: "kubernetes-v2", root: "/",
			want: []string{
				"/data", "/data/my conf\ta\nb\\c.ini",
				"/dev", "/dev/mqueue", "/dev/pts", "/dev/shm", "/dev/termination-log",
				"/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
				"/proc", "/proc/bus", "/proc/kcore", "/proc/sys",
				"/run/secrets/kubernetes.io/serviceaccount",
				"/sys", "/sys/fs/cgroup",
			},
		},
		{
			name: "trap 35: below a directory, as paths within it",
			host: "kubernetes-v2", root: "/data/",
			want: []string{"/my conf\ta\nb\\c.ini"},
		},
		{
			name: "a directory whose name only begins alike has none",
			host: "kubernetes-v2", root: "/dat",
		},
		{
			name: "a directory without mounts has none",
			host: "docker-read-only", root: "/tmp",
		},
		{
			name: "the mount of a single file on Docker",
			host: "docker-read-only", root: "/srv",
			want: []string{"/a b.txt"},
		},
		{
			name: "gVisor",
			host: "gvisor", root: "/",
			want: []string{"/dev", "/dev/pts", "/etc/hosts", "/proc", "/sys", "/sys/fs/cgroup", "/tmp"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mounts, err := host.ParseMountinfo(string(readHost(t, tt.host)["proc/self/mountinfo"].Data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, host.MountPoints(mounts, tt.root)); diff != "" {
				t.Errorf("MountPoints below %q: -want +got\n%s", tt.root, diff)
			}
		})
	}
}

func TestMountPointsListsAPointOnce(t *testing.T) {
	t.Parallel()
	mounts := []host.Mount{{Point: "/a"}, {Point: "/b"}, {Point: "/a"}, {Point: "/"}}
	if diff := cmp.Diff([]string{"/a", "/b"}, host.MountPoints(mounts, "/")); diff != "" {
		t.Errorf("MountPoints: -want +got\n%s", diff)
	}
}

// FuzzParseMountinfo holds what was parsed against a line written from it.
func FuzzParseMountinfo(f *testing.F) {
	for _, name := range []string{"docker-read-only", "kubernetes-v2", "gvisor", "laptop"} {
		f.Add(string(readHost(f, name)["proc/self/mountinfo"].Data))
	}
	f.Add(`1 2 0:1 / /a\b\08\400\4\134040 rw - 9p  rw,path=C:\Program Files`)
	f.Add("1 2 - / / rw - a b c\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := host.ParseMountinfo(text)
		if err != nil {
			return
		}
		if lines := strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1; text != "" && len(mounts) != lines {
			t.Errorf("%d mounts in %d lines", len(mounts), lines)
		}
		again, err := host.ParseMountinfo(writeMountinfo(mounts))
		if err != nil {
			t.Fatalf("ParseMountinfo does not read %q: %v", writeMountinfo(mounts), err)
		}
		if diff := cmp.Diff(mounts, again); diff != "" {
			t.Errorf("ParseMountinfo of what it returned: -want +got\n%s", diff)
		}
		checkMountPoints(t, mounts)
	})
}

func checkMountPoints(t *testing.T, mounts []host.Mount) {
	t.Helper()
	points := host.MountPoints(mounts, "/")
	if !slices.IsSorted(points) {
		t.Errorf("MountPoints = %q, which is not sorted", points)
	}
	for _, m := range mounts {
		if _, found := slices.BinarySearch(points, m.Point); !found && strings.Trim(m.Point, "/") != "" && !strings.HasPrefix(m.Point, "//") {
			t.Errorf("MountPoints = %q lacks %q", points, m.Point)
		}
	}
}

// writeMountinfo writes mounts as the kernel does.
func writeMountinfo(mounts []host.Mount) string {
	escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace
	var text strings.Builder
	for _, m := range mounts {
		fields := []string{
			"1", "0", m.Device, escape(m.Root), escape(m.Point), escape(strings.Join(m.Options, ",")), "master:1", "-",
			escape(m.Type), escape(m.Source), escape(strings.Join(m.SuperOptions, ",")),
		}
		text.WriteString(strings.Join(fields, " ") + "\n")
	}
	return text.String()
}
