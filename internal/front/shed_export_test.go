package front

import "io"

// Shed is shed.
func Shed() error { return shed() }

// Unwritten returns the ranges that unwritten finds.
func Unwritten(maps io.Reader) [][2]uintptr {
	var ranges [][2]uintptr
	for _, m := range unwritten(maps) {
		ranges = append(ranges, [2]uintptr{m.start, m.end})
	}
	return ranges
}
