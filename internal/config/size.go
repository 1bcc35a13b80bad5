package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes, with the suffixes of GNU coreutils ("Block size"
// in its manual): K, M, G, T and KiB, MiB, GiB, TiB are powers of 1024; KB, MB,
// GB, TB are powers of 1000. Upper and lower case are the same.
type size int64

func (s *size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "BIKMGTbikmgt")
	unit, ok := unitOf(strings.ToUpper(string(text[len(digits):])))
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil || n == 0 {
		return errors.New("not a number of bytes, such as 4294967296, 512MiB or 4G")
	}
	if size(n) > math.MaxInt64/unit {
		return errors.New("more bytes than can be counted")
	}
	*s = size(n) * unit
	return nil
}

// unitOf returns what a suffix in upper case multiplies by.
func unitOf(suffix string) (unit size, ok bool) {
	if suffix == "" {
		return 1, true
	}
	power := strings.IndexByte("KMGT", suffix[0]) + 1
	base, ok := map[string]size{"": 1024, "IB": 1024, "B": 1000}[suffix[1:]]
	if power == 0 || !ok {
		return 0, false
	}
	for unit = 1; power > 0; power-- {
		unit *= base
	}
	return unit, true
}
