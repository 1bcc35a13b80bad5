// Package ids is about users in numbers, as the kernel knows them. It knows
// neither names nor the process.
package ids

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// User is a user and a group.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// Max is the greatest uid or gid. To setresuid(2) and chown(2), the one number of
// 32 bits above it is -1, which means "leave as it is".
const Max = 1<<32 - 2

// Parse reads "uid" or "uid:gid"; without a gid, the gid is the uid.
func Parse(s string) (User, error) {
	uidText, gidText, hasGID := strings.Cut(s, ":")
	if !hasGID {
		gidText = uidText
	}
	uid, uidErr := parse(uidText)
	gid, gidErr := parse(gidText)
	if uidErr != nil || gidErr != nil {
		return User{}, fmt.Errorf("not uid or uid:gid, in numbers from 0 to %d", uint32(Max))
	}
	return User{UID: uid, GID: gid}, nil
}

// String returns "uid:gid".
func (u User) String() string { return fmt.Sprintf("%d:%d", u.UID, u.GID) }

func parse(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if n > Max {
		err = errors.Join(err, strconv.ErrRange)
	}
	return uint32(n), err
}
