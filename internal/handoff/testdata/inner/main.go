// Command inner is what the tests run where their own binary, which is not
// static, cannot: inside of another root, or with capabilities of its file.
package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/handoff"
)

// report is what it finds.
type report struct {
	May     handoff.Abilities // if it was asked to raise its capabilities
	Threads []string          // the effective capabilities of each thread then

	Root []string // the names in /
	Dir  string
	UID  int
	Proc bool // /proc is that of the kernel
}

func main() {
	find := look
	if len(os.Args) > 1 && os.Args[1] == "raise" {
		find = raise
	}
	found, err := find()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

func look() (report, error) {
	entries, err := os.ReadDir("/")
	if err != nil {
		return report{}, err
	}
	found := report{UID: os.Getuid()}
	for _, entry := range entries {
		found.Root = append(found.Root, entry.Name())
	}
	_, err = os.Stat("/proc/self/status")
	found.Proc = err == nil
	found.Dir, err = os.Getwd()
	return found, err
}

func raise() (report, error) {
	may, err := handoff.Raise()
	if err != nil {
		return report{}, err
	}
	found := report{May: may, UID: os.Getuid()}
	names, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return report{}, err
	}
	for _, name := range names {
		status, err := os.ReadFile(name)
		if err != nil {
			return report{}, err
		}
		for line := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
				found.Threads = append(found.Threads, strings.TrimSpace(value))
			}
		}
	}
	return found, nil
}
