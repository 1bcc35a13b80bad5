package jsonrpc

// Find is Field for values that decide what is done: it refuses a name that
// stands there twice, or once more in another case, since decoders disagree
// about which of them counts.
func (m *Message) Find(at Span, name string) (Span, error) {
	if !m.isObject(at) {
		return Span{}, nil
	}
	names, values := [1]string{name}, [1]Span{}
	err := find(m.Raw, at, names[:], values[:])
	return values[0], err
}
