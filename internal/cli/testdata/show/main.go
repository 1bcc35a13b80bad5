// Command show prints how it was started, as the tests' server.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "exit" {
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		os.Exit(code)
	}
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	fmt.Println("args", strings.Join(os.Args[1:], "|"))
	fmt.Println("dir", dir)
	fmt.Println("user", os.Getuid(), os.Getgid())
	fmt.Println("inherited", inherited())
	for _, entry := range slices.Sorted(slices.Values(os.Environ())) {
		fmt.Println("env", entry)
	}
}

// inherited names what is left of whoever started the runner: descriptor 9, and
// signals that are ignored. It needs no /proc, which is not in every root.
func inherited() []string {
	found := []string{}
	var stat syscall.Stat_t
	if syscall.Fstat(9, &stat) == nil {
		found = append(found, "descriptor 9")
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			found = append(found, sig.String())
		}
	}
	return found
}
