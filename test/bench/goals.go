package main

import "fmt"

// goal is a ratio that must be reached.
type goal struct {
	what       string
	scenario   string
	contestant string
	measure    func(usage) float64
	must       float64 // the contestant uses at least so many times as much as we do
}

func goals() []goal {
	return []goal{
		{"allowlist, all CPUs, against crane, tar and cp: wall", allowlistName, craneCopyName, wallOf, 6},
		{"... CPU", allowlistName, craneCopyName, cpuOf, 4.5},
		{"... written bytes", allowlistName, craneCopyName, diskOf, 6},
		{"allowlist, one CPU, against crane, tar and cp: wall", oneCPUName, craneCopyName, wallOf, 4},
		{"whole image, against crane and tar: wall", wholeName, craneName, wallOf, 4},
		{"... containerd, defaults", wholeName, containerdName, wallOf, 4.5},
		{"... containerd, parallel unpack", wholeName, containerd4Name, wallOf, 3},
		{"... podman", wholeName, podmanName, wallOf, 6},
		{"... skopeo and umoci", wholeName, skopeoName, wallOf, 7},
		{"one fat layer, allowlist, against crane, tar and cp: wall", fatName, craneCopyName, wallOf, 5},
		{"decompression, against klauspost/compress: wall", decodersName, klauspostName, wallOf, 2},
		{"... the standard library", decodersName, standardName, wallOf, 2.5},
		{"fat layer, 60 MB/s per response, several ranges against one: wall", slowFatName, oneRangeName, wallOf, 2},
	}
}

// ceilings are what we may use at most.
func ceilings() []goal {
	return []goal{
		{"CPU against the floor, allowlist", allowlistName, floorName, cpuOf, 1.15},
		{"... whole image", wholeName, floorName, cpuOf, 1.15},
		{"... one fat layer", fatName, floorName, cpuOf, 1.15},
		{"peak RSS, gzip, MB", allowlistName, "", rssOf, 48},
		{"... whole image", wholeName, "", rssOf, 48},
		{"... zstd", zstdName, "", rssOf, 80},
		{"... zstd, whole image", zstdWholeName, "", rssOf, 80},
	}
}

// goals writes what was reached of what was aimed at.
func (t *table) goals(results []result) {
	t.line("\n#### What must be reached\n")
	t.header("", "must", "measured", "")
	for _, g := range goals() {
		if r, i, ok := g.find(results); ok {
			reached := r.ratio(i, g.measure).median
			t.row(g.what, fmt.Sprintf(">= %gx", g.must), fmt.Sprintf("%.2fx", reached), verdict(reached >= g.must))
		}
	}
	for _, g := range ceilings() {
		r, i, ok := g.find(results)
		if !ok {
			continue
		}
		used := r.of(0, g.measure).median
		if g.contestant != "" {
			used = 1 / r.ratio(i, g.measure).median
		}
		t.row(g.what, fmt.Sprintf("<= %g", g.must), fmt.Sprintf("%.2f", used), verdict(used <= g.must))
	}
}

// find returns the result that a goal is about, and which of its contestants.
func (g goal) find(results []result) (result, int, bool) {
	for _, r := range results {
		for i, c := range r.contestants {
			if r.name == g.scenario && (c.name == g.contestant || g.contestant == "") {
				return r, i, true
			}
		}
	}
	return result{}, 0, false
}

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "missed"
}
