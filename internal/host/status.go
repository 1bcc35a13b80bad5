package host

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// Status is what /proc/self/status says about what a process may do.
type Status struct {
	// User is nil if the text does not say.
	User *User
	// Capabilities is nil if the text does not say.
	Capabilities *CapabilitySets
	// NoNewPrivs is unknown on kernels before 4.10 and on gVisor.
	NoNewPrivs Verdict
	Seccomp    Seccomp
}

// User is who a process acts as: its effective ids.
type User struct {
	ids.User

	Groups []uint32 `json:"groups"`
}

// Seccomp is how system calls are filtered.
type Seccomp int

// The modes of seccomp(2). On gVisor, whose filter lies outside of the
// sandbox, it is always SeccompDisabled.
const (
	SeccompUnknown Seccomp = iota
	SeccompDisabled
	SeccompStrict
	SeccompFilter
)

// String returns "unknown", "disabled", "strict" or "filter".
func (s Seccomp) String() string {
	switch s {
	case SeccompDisabled:
		return "disabled"
	case SeccompStrict:
		return "strict"
	case SeccompFilter:
		return "filter"
	default:
		return "unknown"
	}
}

// MarshalText returns the mode as a word.
func (s Seccomp) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Seccomp) UnmarshalText(text []byte) error {
	return readWord(s, text, SeccompUnknown, SeccompDisabled, SeccompStrict, SeccompFilter)
}

// ParseStatus reads the text of /proc/self/status, as proc_pid_status(5)
// describes it. What the text lacks stays unknown; what it garbles is an
// error.
func ParseStatus(text string) (Status, error) {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	status, err := readStatus(fields)
	if err != nil {
		return Status{}, fmt.Errorf("cannot parse the status of the process: %w", err)
	}
	return status, nil
}

func readStatus(fields map[string]string) (status Status, err error) {
	if status.User, err = readUser(fields); err != nil {
		return status, err
	}
	if status.Capabilities, err = readCapabilities(fields); err != nil {
		return status, err
	}
	if value, ok := fields["NoNewPrivs"]; ok {
		status.NoNewPrivs, err = choose("NoNewPrivs", value, No, Yes)
	}
	if value, ok := fields["Seccomp"]; ok && err == nil {
		status.Seccomp, err = choose("Seccomp", value, SeccompDisabled, SeccompStrict, SeccompFilter)
	}
	return status, err
}

// readUser takes the second of the real, effective, saved and file system ids.
func readUser(fields map[string]string) (*User, error) {
	uids, err := readIDs(fields, "Uid")
	if err != nil {
		return nil, err
	}
	gids, err := readIDs(fields, "Gid")
	if err != nil {
		return nil, err
	}
	groups, err := readIDs(fields, "Groups")
	if err != nil {
		return nil, err
	}
	if len(uids) < 2 || len(gids) < 2 {
		return nil, nil //nolint:nilnil // that the text does not say is no error
	}
	return &User{User: ids.User{UID: uids[1], GID: gids[1]}, Groups: groups}, nil
}

func readIDs(fields map[string]string, name string) ([]uint32, error) {
	ids := []uint32{}
	for word := range strings.FieldsSeq(fields[name]) {
		id, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s holds %q, which is not an id", name, word)
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}

func readCapabilities(fields map[string]string) (*CapabilitySets, error) {
	var sets CapabilitySets
	known := false
	for name, set := range map[string]*Capabilities{
		"CapBnd": &sets.Bounding, "CapPrm": &sets.Permitted, "CapEff": &sets.Effective,
		"CapInh": &sets.Inheritable, "CapAmb": &sets.Ambient,
	} {
		text, ok := fields[name]
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is %q, which is not a set of capabilities", name, text)
		}
		*set, known = Capabilities(bits), true
	}
	if !known {
		return nil, nil //nolint:nilnil // that the text does not say is no error
	}
	return &sets, nil
}

// choose returns the choice whose index the text is.
func choose[T any](name, text string, choices ...T) (T, error) {
	var unknown T
	index, err := strconv.ParseUint(text, 10, 8)
	if err != nil || index >= uint64(len(choices)) {
		return unknown, fmt.Errorf("%s is %q, which is not a number from 0 to %d", name, text, len(choices)-1)
	}
	return choices[index], nil
}
