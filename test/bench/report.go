package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// writePull runs all scenarios and writes their tables.
func (b *bench) writePull(ctx context.Context, w io.Writer) error {
	var err error
	b.say("Building the peers; the first time, that takes minutes.")
	if b.peers, err = buildPeers(ctx); err != nil {
		return err
	}
	t := &table{w: w}
	t.line("%s", b.machine(ctx))
	laid, err := b.check(ctx)
	if err != nil {
		return err
	}
	notes := floorNotes{}
	var results []result
	for _, s := range b.scenarios(notes) {
		r, err := b.play(ctx, s)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	t.goals(results)
	t.trees(laid)
	for _, r := range results {
		t.scenario(r)
		t.floor(notes[r.name])
	}
	return t.err
}

// table writes Markdown, and keeps the first error.
type table struct {
	w   io.Writer
	err error
}

func (t *table) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

// row writes one line of a table; the header is followed by its rule.
func (t *table) row(cells ...string) { t.line("| %s |", strings.Join(cells, " | ")) }

func (t *table) header(cells ...string) {
	t.row(cells...)
	t.line("|%s", strings.Repeat(" --- |", len(cells)))
}

// scenario writes what the contestants used.
func (t *table) scenario(r result) {
	t.line("\n#### %s\n", r.title)
	t.line("Others, and the kernel's threads, used %.0f %% of the machine meanwhile.\n", 100*r.disturbance().share())
	t.header("", "wall s (least-most)", "CPU s", "peak RSS MiB", "written MB", "x wall", "x CPU", "x written")
	for i, c := range r.contestants {
		wall := r.of(i, wallOf)
		cells := []string{
			c.name,
			fmt.Sprintf("%.2f (%.2f-%.2f)", wall.median, wall.least, wall.most),
			fmt.Sprintf("%.2f", r.of(i, cpuOf).median),
			known("%.0f", r.of(i, rssOf).median),
			known("%.0f", r.of(i, diskOf).median),
		}
		for _, measure := range []func(usage) float64{wallOf, cpuOf, diskOf} {
			cells = append(cells, known("%.2f", r.ratio(i, measure).median))
		}
		t.row(cells...)
	}
}

// trees writes what the trees were found to be.
func (t *table) trees(found laid) {
	t.line("\nThe trees are those of crane and tar: contents, modes, owners, times, links.\n")
	t.header("", "paths compared", "bytes in files", "other bytes handed to write(2)")
	for _, tree := range []struct {
		name  string
		facts treeFacts
	}{{"allowlist", found.allow}, {"whole image", found.whole}} {
		t.row(tree.name, strconv.Itoa(tree.facts.paths), strconv.FormatInt(tree.facts.content, 10), strconv.FormatInt(tree.facts.elsewhere, 10))
	}
}

// known formats a figure; what was not measured is none.
func known(format string, value float64) string {
	if !(value > 0) { // Or it is not a number.
		return ""
	}
	return fmt.Sprintf(format, value)
}

// floorNotes are the parts of the floor in each round, by scenario.
type floorNotes map[string][]floorParts

// note returns what takes the parts of a scenario down.
func (n floorNotes) note(name string) func(floorParts) {
	return func(p floorParts) { n[name] = append(n[name], p) }
}

// floor writes the parts that a floor is the sum of.
func (t *table) floor(rounds []floorParts) {
	if len(rounds) == 0 {
		return
	}
	t.line("\nThe floor is made of, in seconds:\n")
	t.header("", "wall", "CPU")
	for _, part := range []struct {
		name string
		of   func(floorParts) cost
	}{
		{"read the compressed bytes from the registry, all layers at once", func(p floorParts) cost { return p.Fetch }},
		{"sha256 of them", func(p floorParts) cost { return p.Hash }},
		{"decompress them, one thread", func(p floorParts) cost { return p.Inflate }},
		{"create the same files from memory", func(p floorParts) cost { return p.Write }},
	} {
		var walls, cpus []float64
		for _, p := range rounds {
			walls = append(walls, part.of(p).Wall.Seconds())
			cpus = append(cpus, part.of(p).CPU.Seconds())
		}
		t.row(part.name, fmt.Sprintf("%.2f", newSpan(walls).median), fmt.Sprintf("%.2f", newSpan(cpus).median))
	}
}

// marks are the lines of a page between which a section's figures stand.
func marks(section string) (begin, end string) {
	return "<!-- begin " + section + " -->\n", "<!-- end " + section + " -->\n"
}

// replaceSection puts new figures into a page.
func replaceSection(page, section, figures string) error {
	body, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	begin, end := marks(section)
	before, rest, ok := strings.Cut(string(body), begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		return fmt.Errorf("%s has no lines %q and %q", page, begin, end)
	}
	return os.WriteFile(page, []byte(before+begin+"\n"+figures+"\n"+end+after), 0o644)
}
