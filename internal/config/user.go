package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// User is a numeric user and group.
type User struct{ UID, GID uint32 }

// UnmarshalText reads "uid" or "uid:gid"; without a gid, the gid is the uid.
func (u *User) UnmarshalText(text []byte) error {
	uidText, gidText, hasGID := strings.Cut(string(text), ":")
	if !hasGID {
		gidText = uidText
	}
	uid, uidErr := parseID(uidText)
	gid, gidErr := parseID(gidText)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return errors.New("not uid or uid:gid, in numbers from 0 to 4294967294")
	}
	*u = User{UID: uid, GID: gid}
	return nil
}

// String returns "uid:gid".
func (u User) String() string { return fmt.Sprintf("%d:%d", u.UID, u.GID) }

// parseID reads a uid or gid. The greatest 32-bit number is none: to setuid(2)
// and chown(2) it is -1, which means "leave as it is".
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(n), err
}
