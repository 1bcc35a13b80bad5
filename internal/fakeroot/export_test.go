package fakeroot

import "golang.org/x/sys/unix"

// Filter is the program that Install installs.
func Filter() []unix.SockFilter { return filter(abis()) }
