package host

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Capability is the number of one capability, such as unix.CAP_SYS_ADMIN.
type Capability uint8

// maxCapabilities is how many capabilities the kernel's sets have room for.
const maxCapabilities = 64

// capabilityNames are the names of capabilities(7), without CAP_, in the order
// of their numbers.
func capabilityNames() []string {
	return []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
		"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
		"IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
		"SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
		"LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
		"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
	}
}

// ParseCapability returns the capability that has the given name: "CAP_CHOWN",
// "chown" as container engines write it, or "CAP_41" for a number that has no
// name yet. Case does not matter.
func ParseCapability(name string) (Capability, error) {
	short := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for number, known := range capabilityNames() {
		if short == known {
			return Capability(number), nil
		}
	}
	if number, err := strconv.ParseUint(short, 10, 8); err == nil && number < maxCapabilities {
		return Capability(number), nil
	}
	return 0, fmt.Errorf("%q: not the name of a capability", name)
}

// String returns the name, such as "CAP_SYS_ADMIN".
func (c Capability) String() string {
	if names := capabilityNames(); int(c) < len(names) {
		return "CAP_" + names[c]
	}
	return "CAP_" + strconv.Itoa(int(c))
}

// Capabilities is a set of capabilities: bit n stands for capability n. In
// JSON it is the list of their names.
type Capabilities uint64

// Has reports whether the set holds a capability.
func (s Capabilities) Has(c Capability) bool { return s>>c&1 == 1 }

// Names returns the names in the order of their numbers.
func (s Capabilities) Names() []string {
	names := []string{}
	for c := range Capability(maxCapabilities) {
		if s.Has(c) {
			names = append(names, c.String())
		}
	}
	return names
}

// MarshalJSON returns the list of names.
func (s Capabilities) MarshalJSON() ([]byte, error) { return json.Marshal(s.Names()) }

// UnmarshalJSON reads a list of names.
func (s *Capabilities) UnmarshalJSON(text []byte) error {
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	*s = 0
	for _, name := range names {
		c, err := ParseCapability(name)
		if err != nil {
			return err
		}
		*s |= 1 << c
	}
	return nil
}

// CapabilitySets are the five sets of a process.
type CapabilitySets struct {
	Bounding    Capabilities `json:"bounding"`
	Permitted   Capabilities `json:"permitted"`
	Effective   Capabilities `json:"effective"`
	Inheritable Capabilities `json:"inheritable"`
	Ambient     Capabilities `json:"ambient"`
}
