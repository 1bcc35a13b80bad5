package launch_test

import (
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

const passwd = `root:x:0:0:root:/root:/bin/sh
# a comment
short:x:1
app:x:1001:1002:App:/srv/app:/bin/sh
1234:x:77:78::/home/digits:/bin/sh
rel:x:5:6::home/rel:/bin/sh
bad:x:4294967295:1::/:/bin/sh
crlf:x:8:9::/home/crlf:/bin/sh` + "\r\n"

const group = `root:x:0:
staff:x:50:app
bad:x:x:
`

func TestResolveAccount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, spec string
		uid, gid   uint32
		home, err  string
	}{
		{name: "trap 54: empty is root", spec: "", home: "/root"},
		{name: "trap 54: a name", spec: "app", uid: 1001, gid: 1002, home: "/srv/app"},
		{name: "trap 54: a uid with an entry has its group and home", spec: "1001", uid: 1001, gid: 1002, home: "/srv/app"},
		{name: "trap 54: a uid without an entry is in group 0", spec: "4000", uid: 4000},
		{name: "trap 54: u:g by names", spec: "app:staff", uid: 1001, gid: 50, home: "/srv/app"},
		{name: "trap 54: u:g by numbers", spec: "4000:60", uid: 4000, gid: 60},
		{name: "an empty group is the user's own", spec: "app:", uid: 1001, gid: 1002, home: "/srv/app"},
		{name: "an empty user with a group is root", spec: ":staff", gid: 50, home: "/root"},
		{name: "a name of digits goes before the number", spec: "1234", uid: 77, gid: 78, home: "/home/digits"},
		{name: "a relative home is none", spec: "rel", uid: 5, gid: 6},
		{name: "trap 54: above 2^31", spec: "3000000000", uid: 3000000000},
		{name: "a line that ends in CRLF", spec: "crlf", uid: 8, gid: 9, home: "/home/crlf"},
		{name: "trap 54: 4294967295 is no uid", spec: "4294967295", err: "ids go from 0 to 4294967294"},
		{name: "trap 54: 4294967296 does not wrap to root", spec: "4294967296", err: "ids go from 0 to 4294967294"},
		{name: "a number of any length", spec: "99999999999999999999999", err: "ids go from 0 to 4294967294"},
		{name: "trap 54: an unknown user is an error and not root", spec: "nobody", err: `the image's User "nobody": the image's /etc/passwd has no such user`},
		{name: "an unknown group", spec: "app:nogroup", err: "/etc/group has no such group"},
		{name: "an entry with a uid that is none", spec: "bad", err: `has the uid "4294967295"`},
		{name: "a group with a gid that is none", spec: "app:bad", err: `has the gid "x"`},
		{name: "a negative number is a name", spec: "-1", err: "no such user"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := launch.ResolveAccount(test.spec, []byte(passwd), []byte(group))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("ResolveAccount(%q) = %+v, %v, want an error with %q", test.spec, got, err, test.err)
				}
				return
			}
			want := launch.Account{User: ids.User{UID: test.uid, GID: test.gid}, Home: test.home}
			if err != nil || got != want {
				t.Errorf("ResolveAccount(%q) = %+v, %v, want %+v", test.spec, got, err, want)
			}
		})
	}
}

// FuzzResolveAccount asserts that nobody but root's own names leads to root.
func FuzzResolveAccount(f *testing.F) {
	f.Add("app:staff", passwd, group)
	f.Add("4294967296", "x:x:0:0::/:", "")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, spec, passwd, group string) {
		got, err := launch.ResolveAccount(spec, []byte(passwd), []byte(group))
		if err != nil {
			if got != (launch.Account{}) {
				t.Fatalf("an account beside an error: %+v", got)
			}
			return
		}
		user, _, _ := strings.Cut(spec, ":")
		if got.User.UID == 0 && strings.Trim(user, "0") != "" && !strings.Contains(passwd, user+":") {
			t.Fatalf("ResolveAccount(%q) is root, and no entry says so", spec)
		}
		if got.Home != "" && got.Home[0] != '/' {
			t.Fatalf("the home %q is not absolute", got.Home)
		}
	})
}
