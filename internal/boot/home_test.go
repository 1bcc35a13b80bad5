package boot_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

func TestTrap56TheServerGetsAHomeOfItsOwn(t *testing.T) {
	t.Parallel()
	needRoot(t)
	server := ids.User{UID: 1000, GID: 1000}
	const uv = "root/.local/share/uv/python/bin/python3.13"
	for _, test := range []struct {
		name    string
		files   []string
		user    ids.User
		own     string
		images  launch.Account
		mounted string // where something is mounted
		want    string
		given   []string
		kept    []string
	}{
		{
			name: "who stands in for root lives in /root, with all that lies there", files: []string{uv},
			user: server, own: "/home/node", images: launch.Account{Home: "/root"}, want: "/root", given: []string{"root", uv},
		},
		{
			name: "also where no account file says so", files: []string{uv},
			user: server, want: "/root", given: []string{"root", uv},
		},
		{
			name: "where /root is missing it is made",
			user: server, images: launch.Account{Home: "/root"}, want: "/root", given: []string{"root"},
		},
		{
			name: "where /root is not the image's, the account's own home serves", files: []string{"root/f", "home/user/f"},
			user: server, own: "/home/user", images: launch.Account{Home: "/root"}, mounted: "root",
			want: "/home/user", given: []string{"home/user/f"}, kept: []string{"root/f", "home"},
		},
		{
			name: "a home that is a file, and one that shall not be", files: []string{"root"},
			user: server, own: "/nonexistent", images: launch.Account{Home: "/root"}, want: "/tmp/home", given: []string{"tmp/home"},
		},
		{
			name: "a root directory is nobody's home", files: []string{"root/f"},
			user: server, images: launch.Account{Home: "/"}, want: "/tmp/home", kept: []string{"", "root/f"},
		},
		{
			name: "who stands in for somebody else lives there", files: []string{"home/app/f", "root/f"},
			user: server, images: launch.Account{User: ids.User{UID: 7, GID: 7}, Home: "/home/app"},
			want: "/home/app", given: []string{"home/app/f"}, kept: []string{"home", "root/f"},
		},
		{
			name: "the image's own user gets nothing that belongs to somebody else", files: []string{"home/app/f"},
			user: server, own: "/home/app", images: launch.Account{User: server, Home: "/home/app"},
			want: "/tmp/home", given: []string{"tmp/home"}, kept: []string{"home/app", "home/app/f"},
		},
		{
			name: "the image's own user whose home was never made", files: []string{"home/"},
			user: server, own: "/home/app", images: launch.Account{User: server, Home: "/home/app"}, want: "/home/app", given: []string{"home/app"},
		},
		{
			name: "root lives in /root, whoever the image's user is", files: []string{"home/app/f", "root/f"},
			own: "/root", images: launch.Account{User: server, Home: "/home/app"}, want: "/root", kept: []string{"home/app/f", "root/f"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, top := openRoot(t)
			write(t, top, test.files...)
			if err := os.Chmod(filepath.Join(top, "root"), 0o700); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			wanted := func(p string) bool { return test.mounted == "" || p != test.mounted }
			start := boot.NewStart(root, host.WayChroot, wanted, config.Config{}, boot.Options{MayChown: true})
			for range 2 { // once more, as a restart does
				got, err := start.SettleHome(test.user, test.own, test.images)
				if err != nil || got != test.want {
					t.Fatalf("the home is %q, %v, want %q", got, err, test.want)
				}
			}
			for _, p := range test.given {
				if got := owner(t, top, p); got != 1000 {
					t.Errorf("/%s belongs to %d, want it given to 1000", p, got)
				}
			}
			for _, p := range test.kept {
				if got := owner(t, top, p); got != 0 {
					t.Errorf("/%s belongs to %d, want it kept", p, got)
				}
			}
		})
	}
}

// Nothing can be given away here: what a user finds is what it has.
func TestTrap56AHomeWithoutAnyRight(t *testing.T) {
	t.Parallel()
	self := ids.User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	if self.UID == 0 {
		self.UID = 4321 // whom nothing belongs to
	}
	root, top := openRoot(t)
	write(t, top, "root/", "tmp/home/")
	for name, mode := range map[string]os.FileMode{"root": 0o555, "tmp/home": 0o777} {
		if err := os.Chmod(filepath.Join(top, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	start := boot.NewStart(root, host.WayInPlace, all, config.Config{}, boot.Options{})
	if got, err := start.SettleHome(self, "/root/below", launch.Account{Home: "/root"}); err != nil || got != "/tmp/home" {
		t.Errorf("the home is %q, %v, want what can be written", got, err)
	}
}
