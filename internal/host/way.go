package host

import "strings"

// Way is a way of running a whole rootfs.
type Way int

// The ways.
const (
	// WayNone says that there is no way.
	WayNone Way = iota
	// WayInPlace lays the files onto the container's own root. It needs no
	// right, but nothing else may live there.
	WayInPlace
	// WayMount enters a directory by a mount namespace and pivot_root(2). It
	// keeps /proc, /dev and /sys and all owners, and execs directly.
	WayMount
	// WayNamespace does so within a user namespace as well. That needs a parent
	// that stays, and knows only the ids that are mapped into it.
	WayNamespace
	// WayChroot enters a directory by chroot(2), without /proc, /dev and /sys.
	WayChroot
)

// String returns "none", "in-place", "mount", "namespace" or "chroot".
func (w Way) String() string {
	switch w {
	case WayInPlace:
		return "in-place"
	case WayMount:
		return "mount"
	case WayNamespace:
		return "namespace"
	case WayChroot:
		return "chroot"
	default:
		return "none"
	}
}

// MarshalText returns the way as a word.
func (w Way) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (w *Way) UnmarshalText(text []byte) error {
	return readWord(w, text, WayNone, WayInPlace, WayMount, WayNamespace, WayChroot)
}

// Place says with whom the runner shares its root.
type Place int

// The places.
const (
	// Shared is a root with a system of its own, as on a laptop or in an image
	// that was built on another one.
	Shared Place = iota
	// Alone is a root that holds nothing but the runner.
	Alone
)

// Choice is the way that was chosen.
type Choice struct {
	Way Way `json:"way"`
	// Reason says in one line why it is this one and none before it.
	Reason string `json:"reason"`
}

// Way chooses by which way a whole rootfs can run here: the first that the host
// allows of in place, by mounting, in a user namespace, by chroot. The earlier
// a way, the less the rootfs notices of it.
func (f Facts) Way(place Place) Choice {
	way, reason := f.inPlace(place)
	reasons := []string{reason}
	for _, next := range []struct {
		way     Way
		subject string
		answer  Answer
	}{
		{WayMount, "mounting is", f.Mounting},
		{WayNamespace, "user namespaces are", f.UserNamespaces},
		{WayChroot, "chroot is", f.Chroot},
	} {
		if way != WayNone {
			break
		}
		reasons = append(reasons, next.subject+" "+outcome(next.answer))
		if next.answer.Verdict == Yes {
			way = next.way
		}
	}
	choice := Choice{Way: way, Reason: strings.Join(reasons, ", ")}
	if way == WayChroot {
		choice.Reason += "; /proc, /dev and /sys will be missing"
	}
	return choice
}

// inPlace says whether files can be laid onto the root itself. That some
// directories may not be written there is for the extraction to find out, which
// knows what the image needs.
func (f Facts) inPlace(place Place) (Way, string) {
	switch {
	case place != Alone:
		return WayNone, "the runner is not alone in its root"
	case f.Root.FileSystem != nil && f.Root.FileSystem.ReadOnly:
		return WayNone, "the root is read-only"
	default:
		return WayInPlace, "the runner is alone in its root"
	}
}

func outcome(answer Answer) string {
	switch answer.Verdict {
	case Yes:
		return "allowed"
	case No:
		return "refused (" + answer.Cause + ")"
	default:
		return "untested (" + answer.Cause + ")"
	}
}
