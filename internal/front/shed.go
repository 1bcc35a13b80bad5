package front

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// shed gives back the memory that only the start has needed. A server that
// waits should be small: the heap of the start is garbage, and most of the
// program's code was mapped because it lay near to what ran. What is used again
// is mapped again from the file, which the kernel keeps in its cache.
//
// An error changes nothing but the size.
func shed() error {
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	for _, m := range unwritten(maps) {
		// For a file that is mapped privately and was never written to, this
		// forgets no content (madvise(2)).
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED); errno != 0 {
			return os.NewSyscallError("madvise", errno)
		}
	}
	return nil
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// unwritten finds the mappings of the program whose content is still that of its
// file, in the form of proc_pid_maps(5): its code, and its constants unless a
// dynamic loader, which brings files of its own, may have written to them.
func unwritten(maps io.Reader) []mapping {
	var code, constants []mapping
	files := map[string]bool{}
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var m mapping
		var access, offset, device, path string
		var inode uint64
		_, err := fmt.Sscanf(lines.Text(), "%x-%x %s %s %s %d %s", &m.start, &m.end, &access, &offset, &device, &inode, &path)
		if err != nil || !strings.HasPrefix(path, "/") {
			continue
		}
		files[path] = true
		switch access {
		case "r-xp":
			code = append(code, m)
		case "r--p":
			constants = append(constants, m)
		}
	}
	if len(files) > 1 {
		return code
	}
	return append(code, constants...)
}
