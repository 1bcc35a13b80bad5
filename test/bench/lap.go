package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
)

// lap is one run of one tool: a disk that is empty, an image, and a log.
type lap struct {
	dir  string // on the disk
	ref  string
	cpus string // as for taskset --cpu-list; empty for all
	log  *os.File
}

// root is where the tree goes.
func (l lap) root() string { return filepath.Join(l.dir, "root") }

// mkdir makes a further directory on the disk.
func (l lap) mkdir(name string) (string, error) {
	dir := filepath.Join(l.dir, name)
	return dir, os.Mkdir(dir, 0o755)
}

// contestant is a tool with what it is told to do.
type contestant struct {
	name string
	host string // of the registry, if it is not that of the scenario
	run  func(ctx context.Context, l lap) (usage, error)
}

// measure runs a program of the tool, with TMPDIR on the disk that is counted.
func (l lap) measure(ctx context.Context, env []string, args ...string) (usage, error) {
	if l.cpus != "" {
		args = append([]string{"taskset", "--cpu-list", l.cpus}, args...)
	}
	return measure(ctx, l.log, append([]string{"TMPDIR=" + l.dir}, env...), args)
}

// ask has a job done by a process of this program's own.
func (l lap) ask(ctx context.Context, job, answer any, arg string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	question, err := json.Marshal(job)
	if err != nil {
		return err
	}
	cmd := command(ctx, self, arg)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(question), l.log
	said, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(said, answer)
}

// shell runs a pipeline, of which every part must succeed.
func (l lap) shell(ctx context.Context, script string, args ...string) (usage, error) {
	return l.measure(ctx, nil, append([]string{"bash", "-euo", "pipefail", "-c", script, "bash"}, args...)...)
}

// on gives the contestant an empty disk for one run, which see is shown after
// it, if set.
func (b *bench) on(ctx context.Context, s scenario, c contestant, see func(l lap, u usage) error) (u usage, err error) {
	b.disks++
	at := filepath.Join(b.disksDir(), strconv.Itoa(b.disks))
	d, err := newDisk(ctx, at, cmp.Or(s.diskBytes, diskBytes))
	if err != nil {
		return usage{}, err
	}
	defer func() {
		if removeErr := d.remove(); err == nil {
			err = removeErr
		}
	}()
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		return usage{}, err
	}
	defer log.Close()
	l := lap{dir: at, ref: reference(cmp.Or(c.host, s.host, b.store.address), s.tag), cpus: s.cpus, log: log}
	if _, err := l.mkdir("root"); err != nil {
		return usage{}, err
	}
	before, err := d.written()
	if err != nil {
		return usage{}, err
	}
	seen, err := watch()
	if err != nil {
		return usage{}, err
	}
	if u, err = c.run(ctx, l); err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", c.name, err, daemon.Tail(log.Name()))
	}
	if u.Others, err = seen(); err != nil {
		return usage{}, err
	}
	after, err := d.written()
	if err != nil {
		return usage{}, err
	}
	u.Disk = after - before
	if see != nil {
		err = see(l, u)
	}
	return u, err
}
