package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// table is a table in Markdown.
type table struct{ text strings.Builder }

func newTable(heads ...string) *table {
	t := &table{}
	t.row(heads...)
	t.text.WriteString("| --- |" + strings.Repeat(" ---: |", len(heads)-1) + "\n")
	return t
}

func (t *table) row(cells ...string) { t.text.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

func (t *table) String() string { return t.text.String() }

// median returns the median of some values; zero if there are none.
func median[T cmp.Ordered](values []T) T {
	var none T
	if len(values) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// medianOf returns the median of something of all samples.
func medianOf[T cmp.Ordered](list []sample, of func(sample) T) T {
	values := make([]T, len(list))
	for i, s := range list {
		values[i] = of(s)
	}
	return median(values)
}

// ratio returns the median of the ratios of rates in the same round.
func ratio(list, to []sample) string {
	ratios := make([]float64, min(len(list), len(to)))
	for i := range ratios {
		ratios[i] = list[i].rate / to[i].rate
	}
	return fmt.Sprintf("%.2fx", median(ratios))
}

func rate(list []sample) string {
	return fmt.Sprintf("%.0f", medianOf(list, func(s sample) float64 { return s.rate }))
}

func micros(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond)) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// throughputTables shows what was measured with each server.
func (l *lab) throughputTables(plain, sdk samples) string {
	var text strings.Builder
	var others []float64
	for _, server := range []struct {
		title string
		found samples
	}{
		{"With a server that needs little (Go, no SDK)", plain},
		{"With a server by the official Go SDK", sdk},
	} {
		fmt.Fprintf(&text, "%s, calls a second:\n\n%s\n", server.title, l.rates(server.found))
		fmt.Fprintf(&text, "Latency at the client, median and 99th percentile:\n\n%s\n", l.latencies(server.found))
		for key, list := range server.found {
			for _, s := range list {
				if key[0] == alone {
					continue // nobody looked
				}
				others = append(others, s.others)
			}
		}
		fmt.Fprintf(&text, "Time of a CPU for each call, in microseconds, in the gateway / its servers / the load:\n\n%s\n", l.costs(server.found))
	}
	fmt.Fprintf(&text, "Other processes had %.0f %% of the machine meanwhile (median), and at most %.0f %%.\n", 100*median(others), 100*slices.Max(others))
	return text.String()
}

func (l *lab) rates(found samples) string {
	heads := append([]string{"", alone}, l.names()...)
	for _, g := range l.gateways {
		if g.name != base {
			heads = append(heads, g.name+" / "+base)
		}
	}
	t := newTable(append(heads, alone+" / "+base)...)
	for _, ld := range loads() {
		of := func(name string) []sample { return found[[2]string{name, ld.name}] }
		cells := []string{ld.name, rate(of(alone))}
		for _, g := range l.gateways {
			cells = append(cells, rate(of(g.name)))
		}
		for _, g := range l.gateways {
			if g.name != base {
				cells = append(cells, ratio(of(g.name), of(base)))
			}
		}
		t.row(append(cells, ratio(of(alone), of(base)))...)
	}
	return t.String()
}

// base is the gateway that ratios refer to.
const base = "supergateway"

func (l *lab) latencies(found samples) string {
	return l.each(found, func(list []sample) string {
		return millis(medianOf(list, func(s sample) time.Duration { return s.p50 })) + " / " +
			millis(medianOf(list, func(s sample) time.Duration { return s.p99 }))
	})
}

func (l *lab) costs(found samples) string {
	return l.each(found, func(list []sample) string {
		return micros(medianOf(list, func(s sample) time.Duration { return s.gateway })) + " / " +
			micros(medianOf(list, func(s sample) time.Duration { return s.servers })) + " / " +
			micros(medianOf(list, func(s sample) time.Duration { return s.client }))
	})
}

// each returns a table with a cell for each load and gateway.
func (l *lab) each(found samples, cell func([]sample) string) string {
	t := newTable(append([]string{""}, l.names()...)...)
	for _, ld := range loads() {
		cells := make([]string, len(l.gateways))
		for i, g := range l.gateways {
			cells[i] = cell(found[[2]string{g.name, ld.name}])
		}
		t.row(append([]string{ld.name}, cells...)...)
	}
	return t.String()
}

// The lines of a document between which its section stands.
const (
	sectionBegin = "<!-- begin bench-bridge -->\n"
	sectionEnd   = "<!-- end bench-bridge -->\n"
)

// rewrite replaces the section of a document.
func rewrite(path, section string) error {
	text, err := os.ReadFile(path) //nolint:gosec // G304: the caller's document
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), sectionBegin)
	_, after, ended := strings.Cut(rest, sectionEnd)
	if !found || !ended {
		return fmt.Errorf("%s has no lines %q and %q", path, strings.TrimSpace(sectionBegin), strings.TrimSpace(sectionEnd))
	}
	return os.WriteFile(path, []byte(before+sectionBegin+section+sectionEnd+after), 0o644) //nolint:gosec // G306, G703: a document of the repository
}
