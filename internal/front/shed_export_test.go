package front

import "io"

// Shed is shed.
func Shed() error { return shed() }

// ReadOnlyFiles returns the ranges that readOnlyFiles finds.
func ReadOnlyFiles(maps io.Reader) [][2]uintptr {
	var ranges [][2]uintptr
	for _, m := range readOnlyFiles(maps) {
		ranges = append(ranges, [2]uintptr{m.start, m.end})
	}
	return ranges
}
