package layer

// Read reads the content of the current entry if it is a File, holes as
// zeros. Any other kind has none.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(r.unread.Data) == 0 && r.unread.Hole == 0 {
		c, err := r.Chunk()
		if err != nil {
			return 0, err
		}
		r.unread = c
	}
	if r.unread.Hole > 0 {
		n := min(int64(len(p)), r.unread.Hole)
		clear(p[:n])
		r.unread.Hole -= n
		return int(n), nil
	}
	n := copy(p, r.unread.Data)
	r.unread.Data = r.unread.Data[n:]
	if len(r.unread.Data) == 0 {
		r.unread.Release()
		r.unread = Chunk{}
	}
	return n, nil
}
