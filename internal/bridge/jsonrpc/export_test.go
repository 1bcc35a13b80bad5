package jsonrpc

// Valid says whether a text is what Parse takes for JSON.
func Valid(raw []byte) bool {
	s := scanner{raw: raw}
	return s.whole(nil)
}
