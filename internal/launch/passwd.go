package launch

import (
	"path"
	"strconv"
	"strings"
)

// LookupHome returns the home directory of a user in the text of an
// /etc/passwd (see passwd(5)), and whether it has an absolute one. The first
// entry of a uid counts, as it does for getpwuid(3).
func LookupHome(passwd []byte, uid uint32) (string, bool) {
	for line := range strings.Lines(string(passwd)) {
		// name:password:uid:gid:comment:home:shell
		fields := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(fields) < 6 {
			continue
		}
		if id, err := strconv.ParseUint(fields[2], 10, 32); err == nil && uint32(id) == uid {
			return fields[5], path.IsAbs(fields[5])
		}
	}
	return "", false
}
