package ahead

import "io"

// Copy returns a fill that takes its content from src, into buffers of size
// bytes. It fills each buffer as far as src gives something at once, so that a
// slow source is not waited for longer than need be.
func Copy(src io.Reader, size int) func(buf *[]byte) ([]byte, error) {
	return func(buf *[]byte) ([]byte, error) {
		if *buf == nil {
			*buf = make([]byte, size)
		}
		n, err := src.Read(*buf)
		return (*buf)[:n], err
	}
}
