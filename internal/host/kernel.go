package host

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Kernel is what runs system calls here.
type Kernel struct {
	// Release is as uname -r prints it, such as "6.8.0-45-generic".
	Release string `json:"release"`
	// GVisor says that it is no Linux at all, but gVisor's imitation of one.
	GVisor Verdict `json:"gvisor"`
}

// gVisorBuild is when every gVisor says it was built: LinuxVersion of its
// package version, which is the same for all of its releases.
const gVisorBuild = "#1 SMP Sun Jan 10 15:06:54 PST 2016"

// parseKernel reads the text of /proc/version. The release of gVisor is
// "4.19.0-gvisor", and was "4.4.0" before 2026; that of a real 4.4 kernel with
// the very same date of build is not known to exist.
func parseKernel(version string) Kernel {
	rest, ok := strings.CutPrefix(version, "Linux version ")
	if !ok {
		return Kernel{}
	}
	release, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kernel := Kernel{Release: release, GVisor: No}
	if strings.Contains(release, "gvisor") || strings.Contains(rest, gVisorBuild) {
		kernel.GVisor = Yes
	}
	return kernel
}

// uname returns what /proc/version would hold, for hosts without /proc.
func uname() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " version " +
		unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Version[:]), nil
}
