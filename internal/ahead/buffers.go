package ahead

import "io"

// Buffers returns n buffers of size bytes, for Copy.
func Buffers(n, size int) [][]byte {
	buffers := make([][]byte, n)
	for i := range buffers {
		buffers[i] = make([]byte, size)
	}
	return buffers
}

// Copy returns a fill that takes its content from src. It fills each buffer as
// far as src gives something at once, so that a slow source is not waited for
// longer than need be.
func Copy(src io.Reader) func(buf []byte) ([]byte, error) {
	return func(buf []byte) ([]byte, error) {
		n, err := src.Read(buf)
		return buf[:n], err
	}
}
