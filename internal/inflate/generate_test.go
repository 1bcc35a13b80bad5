package inflate_test

import (
	"math/rand/v2"
	"slices"
)

// bitWriter writes DEFLATE data bit by bit, as RFC 1951 describes it.
type bitWriter struct {
	data []byte
	free int // bits of the last byte that are not written yet
}

// bits writes the low n bits of v, the lowest first.
func (w *bitWriter) bits(v, n int) {
	for range n {
		if w.free == 0 {
			w.data = append(w.data, 0)
			w.free = 8
		}
		w.data[len(w.data)-1] |= byte(v&1) << (8 - w.free)
		w.free--
		v >>= 1
	}
}

func (w *bitWriter) align() { w.free = 0 }

// huffman is a canonical code: a length and a pattern for each symbol.
type huffman struct {
	lens     []int
	patterns []int
}

// newHuffman assigns the patterns as RFC 1951, section 3.2.2, says.
func newHuffman(lens []int) huffman {
	h := huffman{lens: lens, patterns: make([]int, len(lens))}
	next := 0
	for n := 1; n <= 15; n++ {
		next <<= 1
		for symbol := range lens {
			if lens[symbol] == n {
				h.patterns[symbol] = next
				next++
			}
		}
	}
	return h
}

// has reports whether the symbol has a code.
func (h huffman) has(symbol int) bool {
	return symbol < len(h.lens) && h.lens[symbol] > 0
}

// write writes a symbol's code, the first bit of the pattern first.
func (h huffman) write(w *bitWriter, symbol int) {
	for i := h.lens[symbol] - 1; i >= 0; i-- {
		w.bits(h.patterns[symbol]>>i, 1)
	}
}

// randomLens returns the code lengths of a random complete code for the given
// symbols: it splits random leaves of a tree until there are enough.
func randomLens(rng *rand.Rand, alphabet int, symbols []int, longest int) []int {
	lens := make([]int, alphabet)
	if len(symbols) == 1 {
		lens[symbols[0]] = 1
		return lens
	}
	leaves := []int{0}
	for len(leaves) < len(symbols) {
		i := rng.IntN(len(leaves))
		if rng.IntN(3) == 0 {
			i = len(leaves) - 1 // grow long codes
		}
		if leaves[i] == longest {
			continue
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
	}
	rng.Shuffle(len(leaves), func(i, j int) { leaves[i], leaves[j] = leaves[j], leaves[i] })
	for i, symbol := range symbols {
		lens[symbol] = leaves[i]
	}
	return lens
}

// fixedLens returns the code lengths of a fixed block (section 3.2.6).
func fixedLens() (literals, distances []int) {
	literals = slices.Concat(slices.Repeat([]int{8}, 144), slices.Repeat([]int{9}, 112), slices.Repeat([]int{7}, 24), slices.Repeat([]int{8}, 8))
	return literals, slices.Repeat([]int{5}, 32)
}

// extraTable returns the smallest value and the extra bits of each symbol of
// lengths (first 3, groups of 4) or distances (first 1, groups of 2), as the
// tables of section 3.2.5 list them.
func extraTable(first, group, symbols int) (base, extra []int) {
	value := first
	for i := range symbols {
		n := max(0, i/group-1)
		base = append(base, value)
		extra = append(extra, n)
		value += 1 << n
	}
	return base, extra
}

// streamWriter writes random but valid DEFLATE streams, with all that the
// format allows and no compressor would write.
type streamWriter struct {
	bitWriter
	rng  *rand.Rand
	size int // of the decompressed data
}

// randomStream returns a stream that decompresses to about size bytes.
func randomStream(rng *rand.Rand, size int) []byte {
	w := &streamWriter{rng: rng}
	for {
		last := w.size >= size || rng.IntN(50) == 0
		w.block(last, min(size-w.size, 1+rng.IntN(300_000)))
		if last {
			return w.data
		}
	}
}

func (w *streamWriter) block(last bool, size int) {
	w.bits(map[bool]int{true: 1}[last], 1)
	switch w.rng.IntN(6) {
	case 0:
		w.bits(0, 2)
		w.stored(min(max(size, 0), w.rng.IntN(1<<16)))
	case 1:
		w.bits(1, 2)
		literals, distances := fixedLens()
		w.symbols(newHuffman(literals), newHuffman(distances), size)
	default:
		w.bits(2, 2)
		literals, distances := w.randomCodes()
		w.dynamicHeader(literals, distances)
		w.symbols(newHuffman(literals), newHuffman(distances), size)
	}
}

func (w *streamWriter) stored(n int) {
	w.align()
	w.bits(n, 16)
	w.bits(^n, 16)
	for range n {
		w.data = append(w.data, byte(w.rng.Uint32()))
	}
	w.size += n
}

// randomCodes chooses which literals, lengths and distances have codes: all,
// some, one or (of the distances) none.
func (w *streamWriter) randomCodes() (literals, distances []int) {
	choose := func(alphabet, least int) []int {
		n := []int{alphabet, least, 1 + w.rng.IntN(alphabet)}[w.rng.IntN(3)]
		return w.rng.Perm(alphabet)[:n]
	}
	chosen := choose(286, 1)
	if !slices.Contains(chosen, 256) {
		chosen[0] = 256
	}
	literals = randomLens(w.rng, 286, chosen, 15)
	if chosen := choose(30, 0); len(chosen) > 0 {
		return literals, randomLens(w.rng, 30, chosen, 15)
	}
	return literals, make([]int, 1+w.rng.IntN(30))
}

// dynamicHeader writes code lengths (section 3.2.7), as repetitions or not, by
// chance.
func (w *streamWriter) dynamicHeader(literals, distances []int) {
	w.bits(len(literals)-257, 5)
	w.bits(len(distances)-1, 5)
	w.bits(19-4, 4)
	lens := randomLens(w.rng, 19, w.rng.Perm(19), 7)
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		w.bits(lens[symbol], 3)
	}
	code := newHuffman(lens)
	all := slices.Concat(literals, distances)
	for i := 0; i < len(all); {
		run := 1
		for i+run < len(all) && all[i+run] == all[i] {
			run++
		}
		repeat := w.rng.IntN(4) > 0
		switch {
		case repeat && all[i] == 0 && run >= 11:
			run = min(run, 138)
			code.write(&w.bitWriter, 18)
			w.bits(run-11, 7)
		case repeat && all[i] == 0 && run >= 3:
			run = min(run, 10)
			code.write(&w.bitWriter, 17)
			w.bits(run-3, 3)
		case repeat && i > 0 && all[i] == all[i-1] && run >= 3:
			run = min(run, 6)
			code.write(&w.bitWriter, 16)
			w.bits(run-3, 2)
		default:
			run = 1
			code.write(&w.bitWriter, all[i])
		}
		i += run
	}
}

// symbols writes random symbols for about size bytes, and the end of the block.
func (w *streamWriter) symbols(literals, distances huffman, size int) {
	lengthBase, lengthExtra := extraTable(3, 4, 29)
	lengthBase[28], lengthExtra[28] = 258, 0
	distanceBase, distanceExtra := extraTable(1, 2, 30)

	usable := func(h huffman, from, to int) (symbols []int) {
		for symbol := from; symbol < to; symbol++ {
			if h.has(symbol) {
				symbols = append(symbols, symbol)
			}
		}
		return symbols
	}
	bytes, lengths, reach := usable(literals, 0, 256), usable(literals, 257, 286), usable(distances, 0, 30)
	matches := w.rng.IntN(100)
	for end := w.size + size; w.size < end; {
		if len(bytes) > 0 && w.rng.IntN(100) >= matches {
			literals.write(&w.bitWriter, bytes[w.rng.IntN(len(bytes))])
			w.size++
			continue
		}
		if len(lengths) == 0 || len(reach) == 0 {
			if len(bytes) == 0 {
				break
			}
			matches = 0
			continue
		}
		d := reach[w.rng.IntN(len(reach))]
		distance := distanceBase[d] + w.rng.IntN(1<<distanceExtra[d])
		if distance > min(w.size, 32768) {
			if len(bytes) == 0 {
				break
			}
			literals.write(&w.bitWriter, bytes[w.rng.IntN(len(bytes))])
			w.size++
			continue
		}
		l := lengths[w.rng.IntN(len(lengths))] - 257
		extra := w.rng.IntN(1 << lengthExtra[l])
		literals.write(&w.bitWriter, 257+l)
		w.bits(extra, lengthExtra[l])
		distances.write(&w.bitWriter, d)
		w.bits(distance-distanceBase[d], distanceExtra[d])
		w.size += lengthBase[l] + extra
	}
	literals.write(&w.bitWriter, 256)
}
