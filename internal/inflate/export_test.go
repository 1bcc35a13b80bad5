package inflate

import "io"

// BlockRoom is how many decompressed bytes a Block holds before it counts as
// full.
const BlockRoom = blockFull - windowSize

// Raw decodes bare DEFLATE data, so that the decoder can be held against
// compress/flate.
type Raw struct {
	z *Reader
	b *Block
}

// NewRaw returns a Raw.
func NewRaw() *Raw {
	return &Raw{z: NewReader(nil), b: new(Block)}
}

// Inflate returns what r decompresses to, even before an error, and how many
// bytes of r the DEFLATE data takes.
func (raw *Raw) Inflate(r io.Reader) (data []byte, consumed int64, err error) {
	z := raw.z
	z.Reset(r)
	z.step = stepBlock
	for err == nil && z.step != stepTrailer {
		z.open(raw.b)
		for err == nil && z.step != stepTrailer && z.op < blockFull {
			err = z.advance()
		}
		z.close()
		data = append(data, raw.b.Bytes()...)
	}
	z.align()
	return data, z.offset(), err
}
