package main

import (
	"slices"
)

// The names of the scenarios.
const (
	allowlistName = "allowlist"
	oneCPUName    = "one-cpu"
	wholeName     = "whole"
	fatName       = "fat"
	zstdName      = "zstd"
	zstdWholeName = "zstd-whole"
	slowName      = "slow"
	slowFatName   = "slow-fat"
	smallName     = "small"
	decodersName  = "decoders"
)

// The names of the contestants that the goals name.
const (
	craneCopyName   = "crane export, tar, cp -a"
	craneName       = "crane export, tar"
	containerdName  = "containerd, defaults"
	containerd4Name = "containerd, 4 unpacks at once"
	podmanName      = "podman (overlay)"
	skopeoName      = "skopeo, umoci unpack"
	floorName       = "the floor"
	oneRangeName    = "fastmcp-runner, no ranges"
	klauspostName   = "klauspost/compress"
	standardName    = "compress/gzip"
)

// scenarios returns those that were asked for.
func (b *bench) scenarios(notes floorNotes) []scenario {
	allow, whole := b.ours("allowlist"), b.ours("rootfs")
	noRanges := allow
	noRanges.name, noRanges.host = oneRangeName, b.farWhole
	five, fat := b.images.five, b.images.fat
	all := []scenario{
		{name: allowlistName, main: true, title: "Allowlist, all CPUs", tag: "five", contestants: []contestant{allow, b.craneCopy(), b.floor(five, false, notes.note(allowlistName))}},
		{name: oneCPUName, main: true, title: "Allowlist, one CPU", tag: "five", cpus: "0", contestants: []contestant{allow, b.craneCopy()}},
		{name: wholeName, main: true, title: "Whole image", tag: "five", contestants: []contestant{
			whole, b.craneTar(), b.containerd(containerdName, 1), b.containerd(containerd4Name, 4), b.docker(), b.podman(),
			b.skopeoUmoci(skopeoName, "unpack"), b.skopeoUmoci("skopeo, umoci raw unpack", "raw", "unpack"),
			b.floor(five, true, notes.note(wholeName)),
		}},
		{name: fatName, main: true, title: "One fat layer, allowlist", tag: "fat", contestants: []contestant{allow, b.craneCopy(), b.floor(fat, false, notes.note(fatName))}},
		{name: zstdName, title: "zstd, allowlist", tag: "zstd", contestants: []contestant{allow, b.craneCopy()}},
		{name: zstdWholeName, title: "zstd, whole image", tag: "zstd", contestants: []contestant{whole, b.craneTar(), b.containerd(containerd4Name, 4)}},
		{name: slowName, title: "A registry of 60 MB/s per response, 20 ms to the first byte; allowlist", tag: "five", host: b.far, contestants: []contestant{allow, noRanges, b.craneCopy()}},
		{name: slowFatName, title: "The same, one fat layer", tag: "fat", host: b.far, contestants: []contestant{allow, noRanges, b.craneCopy()}},
		{name: smallName, title: "Many small files", tag: "small", contestants: []contestant{allow, b.craneCopy()}},
		{name: decodersName, main: true, title: "Decompression alone, one thread", tag: "five", contestants: []contestant{
			b.decoder("internal/inflate", "inflate", five), b.decoder(klauspostName, "klauspost", five), b.decoder(standardName, "standard", five),
		}},
	}
	return slices.DeleteFunc(all, func(s scenario) bool {
		if len(b.only) > 0 {
			return !slices.Contains(b.only, s.name)
		}
		return b.quick && !s.main
	})
}
