package layer

import (
	"io"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
)

// stream is the decompressed layer: what is in the parts that the decoder fills,
// read where it lies. What a method returns without a copy is valid until the
// next call of any.
type stream struct {
	source *ahead.Reader
	part   *ahead.Part // the one that data lies in, nil if data is empty
	data   []byte      // what is left of it
	err    error       // what comes after data

	limit   int64
	arrived int64 // bytes that count against limit, those in data among them

	spanning block // a block that lies in more than one part, put together
}

// used returns how many bytes count against the limit so far.
func (s *stream) used() int64 { return s.arrived - int64(len(s.data)) }

// load replaces data, of which nothing is left, by the next part. A part that
// exceeds the limit is cut, and the error comes after what is within it.
func (s *stream) load() error {
	if s.err != nil {
		return s.err
	}
	part, err := s.source.Next()
	if err != nil {
		s.err = err
		return err
	}
	s.part, s.data = part, part.Data()
	if left := max(s.limit-s.arrived, 0); int64(len(s.data)) > left {
		s.data, s.err = s.data[:left], tooManyBytes(s.limit)
	}
	s.arrived += int64(len(s.data))
	if len(s.data) == 0 {
		s.drop()
		return s.err
	}
	return nil
}

// drop gives the part back, of which nothing is needed any longer.
func (s *stream) drop() {
	s.part.Release()
	s.part, s.data = nil, nil
}

// advance passes by n bytes of data, and gives the part back if they were the
// last.
func (s *stream) advance(n int) {
	s.data = s.data[n:]
	if len(s.data) == 0 {
		s.drop()
	}
}

// take returns the next block. At the end of the stream it returns what there
// is of one, with io.EOF if that is nothing and io.ErrUnexpectedEOF otherwise.
func (s *stream) take() ([]byte, error) {
	if len(s.data) > blockSize { // the part is not given back while its block is read
		b := s.data[:blockSize]
		s.data = s.data[blockSize:]
		return b, nil
	}
	b, err := s.append(s.spanning[:0], blockSize)
	if len(b) == 0 && err == io.ErrUnexpectedEOF && isEnd(s.err) { //nolint:errorlint // append returns it as it is
		err = io.EOF
	}
	return b, err
}

// append adds the next n bytes to b; io.ErrUnexpectedEOF if there are less.
func (s *stream) append(b []byte, n int64) ([]byte, error) {
	for n > 0 {
		piece, err := s.piece(n)
		if err != nil {
			return b, err
		}
		b = append(b, piece...)
		n -= int64(len(piece))
		s.advance(len(piece))
	}
	return b, nil
}

// skip passes by n bytes; io.ErrUnexpectedEOF if there are less.
func (s *stream) skip(n int64) error {
	for n > 0 {
		piece, err := s.piece(n)
		if err != nil {
			return err
		}
		n -= int64(len(piece))
		s.advance(len(piece))
	}
	return nil
}

// chunk returns at most n of the next bytes, n > 0, with a reference of their
// own to the part; io.ErrUnexpectedEOF if there are none.
func (s *stream) chunk(n int64) (Chunk, error) {
	piece, err := s.piece(n)
	if err != nil {
		return Chunk{}, err
	}
	c := Chunk{Data: piece, part: s.part}
	c.part.Retain()
	s.advance(len(piece))
	return c, nil
}

// drain passes by all bytes that are left.
func (s *stream) drain() error {
	for {
		if len(s.data) > 0 {
			s.advance(len(s.data))
		}
		if err := s.load(); isEnd(err) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// piece returns the next bytes, at least one and at most n, without passing by
// them.
func (s *stream) piece(n int64) ([]byte, error) {
	if len(s.data) == 0 {
		if err := s.load(); isEnd(err) {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
	return s.data[:min(n, int64(len(s.data)))], nil
}
