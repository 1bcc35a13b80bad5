package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
)

// floorArg makes this program the one that measures the floor.
const floorArg = "floor"

// floorJob is what the floor is the floor of.
type floorJob struct {
	Blobs   []string // files that hold the compressed layers
	URLs    []string // where the registry has them
	Tree    string   // a tree that was laid already
	Whole   bool     // whether all of it is taken, or what the allowlist allows
	Root    string   // where to write it again
	Writers int
}

// cost is what a part of the floor takes.
type cost struct {
	Wall, CPU time.Duration
}

// floorParts are what no way of pulling an image can do without.
type floorParts struct {
	Fetch   cost            // read the compressed bytes from the registry, all layers at once
	Hash    cost            // sha256 of them
	Inflate cost            // decompress them in one thread
	Write   cost            // create the directories, files and links, from memory
	Layers  []time.Duration // hash and inflate, of each layer
}

func (p floorParts) cpu() time.Duration {
	return p.Fetch.CPU + p.Hash.CPU + p.Inflate.CPU + p.Write.CPU
}

// wall bounds how fast a machine can be that has so many cores, whatever it
// does at once; registry is what the registry takes of them.
func (p floorParts) wall(cores int, registry time.Duration) time.Duration {
	bound := (p.cpu() + registry) / time.Duration(cores)
	for _, layer := range p.Layers {
		bound = max(bound, layer)
	}
	return bound
}

// floor measures the parts in a process of their own.
func (b *bench) floor(ls layers, whole bool, note func(floorParts)) contestant {
	return contestant{name: floorName, run: func(ctx context.Context, l lap) (usage, error) {
		job := floorJob{Tree: b.reference, Whole: whole, Root: l.root(), Writers: runtime.NumCPU()}
		for _, blob := range ls {
			job.Blobs = append(job.Blobs, blob.File)
			job.URLs = append(job.URLs, fmt.Sprintf("http://%s/v2/%s/blobs/%s", b.store.address, repository, blob.Hash))
		}
		before, _, err := family(b.store.daemon.PID())
		if err != nil {
			return usage{}, err
		}
		var parts floorParts
		if err := l.ask(ctx, job, &parts, floorArg); err != nil {
			return usage{}, err
		}
		after, _, err := family(b.store.daemon.PID())
		note(parts)
		return usage{CPU: parts.cpu(), Wall: parts.wall(runtime.NumCPU(), after-before)}, err
	}}
}

// measureFloor is the process that measures.
func measureFloor(ctx context.Context, in io.Reader, out io.Writer) error {
	var job floorJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return err
	}
	blobs, err := readFiles(job.Blobs)
	if err != nil {
		return err
	}
	tree, err := job.load()
	if err != nil {
		return err
	}
	runtime.GC()
	debug.SetGCPercent(-1) // What was loaded must not be looked at while the clock runs.
	parts := floorParts{Layers: make([]time.Duration, len(blobs))}
	parts.Fetch, err = timed(func() error { return fetchAll(ctx, job.URLs) })
	if err != nil {
		return err
	}
	for i, blob := range blobs {
		hash, _ := timed(func() error { sha256.Sum256(blob); return nil }) // It cannot fail.
		inflate, err := timed(func() error { return decodeInflate(blob) })
		if err != nil {
			return err
		}
		parts.Hash.add(hash)
		parts.Inflate.add(inflate)
		parts.Layers[i] = hash.Wall + inflate.Wall
	}
	unix.Umask(0)
	if parts.Write, err = timed(func() error { return tree.write(job.Root, job.Writers) }); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(parts)
}

func (c *cost) add(other cost) {
	c.Wall += other.Wall
	c.CPU += other.CPU
}

// timed measures what this process takes for something.
func timed(do func() error) (cost, error) {
	before, err := cpuTime()
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	if err := do(); err != nil {
		return cost{}, err
	}
	c := cost{Wall: time.Since(start)}
	after, err := cpuTime()
	c.CPU = after - before
	return c, err
}

func cpuTime() (time.Duration, error) {
	var r unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), err
}

func readFiles(names []string) ([][]byte, error) {
	var bodies [][]byte
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

// fetchAll reads all blobs at once and keeps nothing.
func fetchAll(ctx context.Context, urls []string) error {
	errs := make([]error, len(urls))
	var all sync.WaitGroup
	for i, url := range urls {
		all.Go(func() { errs[i] = fetch(ctx, url) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func fetch(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	buffer := make([]byte, 256<<10)
	for {
		_, err := resp.Body.Read(buffer)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// load reads the tree that is to be written.
func (job floorJob) load() (*memory, error) {
	list, err := allowlist.New(nil)
	if err != nil {
		return nil, err
	}
	all, err := readTree(job.Tree, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	taken := map[string]node{}
	for p, n := range all {
		if !job.Whole && !list.Allows(p) {
			continue
		}
		taken[p] = n
		for parent := path.Dir(p); parent != "."; parent = path.Dir(parent) {
			taken[parent] = all[parent]
		}
	}
	return loadMemory(taken)
}
