package jsonrpc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// Edit replaces a value of a message.
type Edit struct {
	// At is the value; an absent one is not replaced.
	At Span
	// With is the JSON text of the new value.
	With []byte
}

// With returns a copy of the message in which values are replaced and all
// other bytes are as they were.
func (m *Message) With(edits ...Edit) Message {
	edits = slices.DeleteFunc(edits, func(e Edit) bool { return e.At.Absent() })
	slices.SortFunc(edits, func(a, b Edit) int { return cmp.Compare(a.At.Start, b.At.Start) })
	var raw bytes.Buffer
	done := 0
	for _, e := range edits {
		raw.Write(m.Raw[done:e.At.Start])
		raw.Write(e.With)
		done = e.At.End
	}
	raw.Write(m.Raw[done:])
	edited, err := Parse(raw.Bytes())
	if err != nil {
		panic("internal error: an edit broke a message: " + err.Error())
	}
	return edited
}

// Failure returns the response that a request failed. With a nil id it has
// none, as MCP asks for where the request could not be read.
func Failure(id []byte, code int, text string, data json.RawMessage) []byte {
	type fault struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data,omitempty"`
	}
	return Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Error   fault           `json:"error"`
	}{"2.0", id, fault{code, text, data}})
}

// Result returns the response that a request succeeded.
func Result(id []byte, result json.RawMessage) []byte {
	return Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  json.RawMessage `json:"result"`
	}{"2.0", id, result})
}

// Call returns a request; without an id it is a notification. Params are
// optional.
func Call(id []byte, method string, params json.RawMessage) []byte {
	return Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Method  string          `json:"method"`
		Params  json.RawMessage `json:"params,omitempty"`
	}{"2.0", id, method, params})
}

// Encode returns the JSON text of a value that has one, on one line, with the
// bytes of every json.RawMessage as they are but for space between tokens.
func Encode[T any](value T) []byte {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("internal error: " + err.Error())
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
