package launch

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// Account is a user with what the root's account files say of it.
type Account struct {
	User ids.User
	// Home is the home directory, empty if no entry names an absolute one.
	Home string
}

// ResolveAccount looks up the User of an image config ("user", "uid",
// "user:group", "uid:gid", in any mixture; empty is root) in the texts of the
// image's own /etc/passwd and /etc/group. As container engines do, it takes a
// name before a number, and group 0 for a number without an entry. A name
// without an entry is an error, and never root.
func ResolveAccount(spec string, passwd, group []byte) (Account, error) {
	account, err := resolveAccount(spec, passwd, group)
	if err != nil {
		return Account{}, fmt.Errorf("cannot resolve the image's User %q: %w", spec, err)
	}
	return account, nil
}

func resolveAccount(spec string, passwd, group []byte) (Account, error) {
	user, groupSpec, hasGroup := strings.Cut(spec, ":")
	if user == "" {
		user = "0"
	}
	account, err := findUser(user, passwd)
	if err != nil || !hasGroup || groupSpec == "" {
		return account, err
	}
	account.User.GID, err = findGroup(groupSpec, group)
	return account, err
}

// findUser returns the account of a name or uid.
func findUser(user string, passwd []byte) (Account, error) {
	uid, isID, err := parseID(user)
	if err != nil {
		return Account{}, err
	}
	// name:password:uid:gid:comment:home:shell
	fields := findEntry(passwd, user, uid, isID, 6)
	if fields == nil {
		if isID {
			return Account{User: ids.User{UID: uid}}, nil
		}
		return Account{}, errors.New("the image's /etc/passwd has no such user")
	}
	uid, isUID, err := parseID(fields[2])
	if err != nil || !isUID {
		return Account{}, fmt.Errorf("its entry in /etc/passwd has the uid %q", fields[2])
	}
	gid, isGID, err := parseID(fields[3])
	if err != nil || !isGID {
		return Account{}, fmt.Errorf("its entry in /etc/passwd has the gid %q", fields[3])
	}
	account := Account{User: ids.User{UID: uid, GID: gid}}
	if path.IsAbs(fields[5]) {
		account.Home = fields[5]
	}
	return account, nil
}

// findGroup returns the gid of a group's name or number.
func findGroup(spec string, group []byte) (uint32, error) {
	gid, isID, err := parseID(spec)
	if err != nil || isID {
		return gid, err
	}
	// name:password:gid:members
	fields := findEntry(group, spec, 0, false, 3)
	if fields == nil {
		return 0, errors.New("the image's /etc/group has no such group")
	}
	gid, isID, err = parseID(fields[2])
	if err != nil || !isID {
		return 0, fmt.Errorf("its entry in /etc/group has the gid %q", fields[2])
	}
	return gid, nil
}

// findEntry returns the fields of the first entry with this name, or else of
// the first with this id; nil if there is none. Lines with fewer fields than
// needed are passed over, as getpwent(3) does.
func findEntry(text []byte, name string, id uint32, byID bool, needed int) []string {
	var found []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(fields) < needed {
			continue
		}
		if fields[0] == name {
			return fields
		}
		if other, isID, err := parseID(fields[2]); byID && found == nil && err == nil && isID && other == id {
			found = fields
		}
	}
	return found
}

// parseID reads an id; isID is false for what is no number at all. A number
// that no id can be is an error, so that it is never taken for a name.
func parseID(s string) (id uint32, isID bool, err error) {
	if strings.Trim(s, "0123456789") != "" || s == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > ids.Max {
		return 0, true, fmt.Errorf("%s is no id: ids go from 0 to %d", s, uint32(ids.Max))
	}
	return uint32(n), true, nil
}
