package registry

import (
	"errors"
	"io"
)

// stretch is a stream of the bytes of a blob from one offset to another, over as
// many connections as it takes, one after the other. It hands out no byte twice.
type stretch struct {
	offset, end int64
	body        io.ReadCloser // nil: not connected.
	fault       error         // Why the last connection broke, until it is waited out.

	open     func(offset int64) (io.ReadCloser, error) // One attempt.
	wait     func(error) error                         // As patience.wait.
	progress func()                                    // As patience.progress.
}

// Read reads, and reconnects as long as that makes progress.
func (s *stretch) Read(p []byte) (int, error) {
	for s.offset < s.end {
		if err := s.connect(); err != nil {
			return 0, err
		}
		n, err := s.body.Read(p[:min(int64(len(p)), s.end-s.offset)])
		if err != nil {
			s.disconnect(err)
		}
		if n > 0 {
			s.offset += int64(n)
			s.progress()
			return n, nil
		}
	}
	return 0, io.EOF
}

// connect connects if need be, after the time that the last fault asks for.
func (s *stretch) connect() error {
	for s.body == nil {
		err := s.fault
		s.fault = nil
		if err == nil {
			s.body, err = s.open(s.offset)
		}
		if err == nil {
			return nil
		}
		if err := s.wait(err); err != nil {
			return err
		}
	}
	return nil
}

func (s *stretch) disconnect(err error) {
	s.fault = broken(err)
	_ = s.body.Close() // It was only read from.
	s.body = nil
}

// broken makes the end of a stream that was to go on a fault of its connection.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return &linkError{host: "the connection", err: io.ErrUnexpectedEOF}
	}
	return err
}

// Close ends the stream, wherever it is.
func (s *stretch) Close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}
