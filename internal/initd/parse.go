package initd

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The real-time signals as glibc counts them, and with it Docker and systemd:
// the first two that the kernel has belong to the threads library.
const (
	rtMin = 34
	rtMax = lastSignal
)

// ParseSignal returns the signal of an image's StopSignal
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md): a name
// such as SIGQUIT, QUIT or SIGRTMIN+3, in upper or lower case, or a number.
func ParseSignal(name string) (unix.Signal, error) {
	sig, ok := lookUp(name)
	if !ok {
		return 0, fmt.Errorf("cannot parse signal %q: neither a name such as SIGTERM or SIGRTMIN+3 nor a number from 1 to %d", name, lastSignal)
	}
	return sig, nil
}

func lookUp(name string) (unix.Signal, bool) {
	if number, err := strconv.ParseUint(name, 10, 8); err == nil {
		return unix.Signal(number), 1 <= number && number <= lastSignal
	}
	short := strings.TrimPrefix(strings.ToUpper(name), "SIG")
	if offset, ok := strings.CutPrefix(short, "RTMIN"); ok {
		return realTime(rtMin, offset)
	}
	if offset, ok := strings.CutPrefix(short, "RTMAX"); ok {
		return realTime(rtMax, offset)
	}
	sig := unix.SignalNum("SIG" + standard(short))
	return sig, sig != 0
}

// standard replaces the second names that some signals have.
func standard(short string) string {
	switch short {
	case "CLD":
		return "CHLD"
	case "IOT":
		return "ABRT"
	case "POLL":
		return "IO"
	}
	return short
}

// realTime counts from base by an offset such as "+3" or "-1"; an empty one is
// zero.
func realTime(base int, offset string) (unix.Signal, bool) {
	if offset == "" {
		return unix.Signal(base), true
	}
	n, err := strconv.ParseInt(offset, 10, 8)
	number := base + int(n)
	signed := offset[0] == '+' || offset[0] == '-'
	return unix.Signal(number), err == nil && signed && rtMin <= number && number <= rtMax
}
