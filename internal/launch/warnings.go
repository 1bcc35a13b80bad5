package launch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// portWarnings says early what would otherwise be a server that nobody can
// reach. There is nothing to say without a port, as when an image is only looked
// at, and of a server that does not listen itself.
func portWarnings(img Image, set Settings) []string {
	if set.Port == 0 || set.Transport == transportStdio {
		return nil
	}
	var warnings []string
	if set.Port < 1024 && set.User.UID != 0 {
		warnings = append(warnings, fmt.Sprintf("PORT is %d: on many hosts only root can listen below 1024", set.Port))
	}
	if len(img.ExposedPorts) > 0 && !slices.ContainsFunc(img.ExposedPorts, exposes(set.Port)) {
		warnings = append(warnings, fmt.Sprintf("PORT is %d, but the image exposes %s: the server must listen where PORT says",
			set.Port, strings.Join(slices.Sorted(slices.Values(img.ExposedPorts)), ", ")))
	}
	return warnings
}

// transportStdio is that of servers that somebody else listens for.
const transportStdio = "stdio"

// exposes returns a predicate for the forms that an image config may use:
// "port/tcp", "port/udp" and "port", which means tcp; Docker's EXPOSE also
// knows ranges.
func exposes(port int) func(exposed string) bool {
	return func(exposed string) bool {
		number, protocol, _ := strings.Cut(exposed, "/")
		if protocol != "" && !strings.EqualFold(protocol, "tcp") {
			return false
		}
		first, last, isRange := strings.Cut(number, "-")
		if !isRange {
			last = first
		}
		low, lowErr := strconv.Atoi(first)
		high, highErr := strconv.Atoi(last)
		return lowErr == nil && highErr == nil && low <= port && port <= high
	}
}

// imageWarnings says which wishes of the image are not granted. Names of
// users are left alone: which uid they mean stands in a file of the image
// that is not read.
func imageWarnings(img Image, set Settings) []string {
	var warnings []string
	user, _, _ := strings.Cut(img.User, ":")
	if uid, err := strconv.ParseUint(user, 10, 32); err == nil && uid != 0 && uint32(uid) != set.User.UID {
		warnings = append(warnings, fmt.Sprintf("the image's User is %s, but the server runs as %s: RUNNER_USER chooses another", img.User, set.User))
	}
	switch strings.TrimPrefix(strings.ToUpper(img.StopSignal), "SIG") {
	case "", "TERM", "15":
	default:
		if !set.Init {
			warnings = append(warnings, fmt.Sprintf("the image's StopSignal %q is not used: the server gets the signals that this container gets, "+
				"usually SIGTERM; RUNNER_INIT=on translates them", img.StopSignal))
		}
	}
	return warnings
}
