// Package jsonrpc reads the envelope of JSON-RPC messages and leaves the rest
// as it came: a message that is passed on keeps its bytes, and with them its
// large integers, its unknown members and the order of its keys. It knows
// nothing of transports, and of the Model Context Protocol only where its
// messages name one another.
package jsonrpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SubscriptionKey is the key of _meta that names the subscription which a
// message belongs to (MCP 2026-07-28, basic/patterns/subscriptions).
const SubscriptionKey = "io.modelcontextprotocol/subscriptionId"

// The codes of errors that JSON-RPC 2.0 defines.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)

// Kind says what a message is.
type Kind int

// The kinds of messages.
const (
	Request Kind = iota + 1
	Notification
	Response
)

// Span is a range of bytes in a message. The zero Span stands for a value
// that is absent.
type Span struct{ Start, End int }

// Absent says whether the message lacks the value.
func (s Span) Absent() bool { return s == Span{} }

// Message is one message: its bytes, and where the values of its envelope
// lie in them.
type Message struct {
	// Raw is the message as it came, without line breaks.
	Raw  []byte
	Kind Kind
	// Method is that of a request or notification.
	Method string
	// ID is that of a request or response. It is absent in a response to a
	// request that the other side could not read.
	ID Span
	// Params, Result and Error are the whole values.
	Params, Result, Error Span
	// Token is a progress token: the one that a request gives out, or the
	// one that a progress notification belongs to.
	Token Span
	// Cancels is the id of the request that a notification cancels.
	Cancels Span
	// Subscription is the subscription that the message belongs to.
	Subscription Span
}

// Error is why something is no message.
type Error struct {
	// Code is that of the JSON-RPC error.
	Code int
	// Text says what is wrong.
	Text string
}

func (e *Error) Error() string { return e.Text }

func invalid(format string, args ...any) error {
	return &Error{Code: CodeInvalidRequest, Text: fmt.Sprintf(format, args...)}
}

// Parse reads one message, of which it keeps the bytes. Line breaks between
// its tokens, which would end the message on a stdio transport, become spaces
// in place; JSON has none anywhere else.
func Parse(raw []byte) (Message, error) {
	raw, err := valid(raw)
	if err != nil {
		return Message{}, err
	}
	return read(raw)
}

// ParseBatch reads a message, or an array of messages (MCP 2025-03-26,
// basic/index, Batching); batch says that it was an array.
func ParseBatch(raw []byte) (messages []Message, batch bool, err error) {
	raw, err = valid(raw)
	if err != nil {
		return nil, false, err
	}
	if raw[0] != '[' {
		m, err := read(raw)
		return []Message{m}, false, err
	}
	for at := range elements(raw, Span{0, len(raw)}) {
		m, err := read(raw[at.Start:at.End:at.End])
		if err != nil {
			return nil, true, err
		}
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return nil, true, invalid("the batch is empty")
	}
	return messages, true, nil
}

// valid returns the JSON text without space around it and on one line.
func valid(raw []byte) ([]byte, error) {
	if !json.Valid(raw) {
		return nil, &Error{Code: CodeParse, Text: "the message is not JSON"}
	}
	// Servers that decode strictly, as Python does, end at the first wrong byte.
	if !utf8.Valid(raw) {
		return nil, &Error{Code: CodeParse, Text: "the message is not UTF-8"}
	}
	raw = bytes.TrimSpace(raw)
	for _, c := range []byte("\r\n") {
		for i := bytes.IndexByte(raw, c); i >= 0; i = bytes.IndexByte(raw, c) {
			raw[i] = ' '
		}
	}
	return raw, nil
}

// read reads the envelope of what is valid JSON.
func read(raw []byte) (Message, error) {
	if raw[0] != '{' {
		return Message{}, invalid("the message is not a JSON object")
	}
	m := Message{Raw: raw}
	var version, method Span
	err := readMembers(raw, Span{0, len(raw)}, map[string]*Span{
		"jsonrpc": &version, "id": &m.ID, "method": &method,
		"params": &m.Params, "result": &m.Result, "error": &m.Error,
	})
	if err != nil {
		return Message{}, err
	}
	if string(m.Bytes(version)) != `"2.0"` {
		return Message{}, invalid(`the message lacks "jsonrpc": "2.0"`)
	}
	if string(m.Bytes(m.ID)) == "null" && method.Absent() {
		m.ID = Span{}
	}
	if err := m.classify(method); err != nil {
		return Message{}, err
	}
	return m, m.readReferences()
}

func (m *Message) classify(method Span) error {
	switch {
	case !method.Absent():
		name, ok := m.text(method)
		if !ok || name == "" {
			return invalid("the method is not a name")
		}
		m.Method, m.Kind = name, Request
		if m.ID.Absent() {
			m.Kind = Notification
		}
	case m.Result.Absent() == m.Error.Absent():
		return invalid("the message is neither request, notification nor response")
	case m.ID.Absent() && m.Error.Absent():
		return invalid("the response lacks an id")
	default:
		m.Kind = Response
	}
	if !m.ID.Absent() && m.Key(m.ID) == "" {
		return invalid("the id is neither a string nor a number")
	}
	return nil
}

// readReferences finds the values by which a message names other messages.
func (m *Message) readReferences() error {
	body := m.Params
	if m.Kind == Response {
		body = m.Result
	}
	if !m.isObject(body) {
		return nil
	}
	var meta, token Span
	wanted := map[string]*Span{"_meta": &meta}
	switch m.Method {
	case "notifications/progress":
		wanted["progressToken"] = &m.Token
	case "notifications/cancelled":
		wanted["requestId"] = &m.Cancels
	}
	if err := readMembers(m.Raw, body, wanted); err != nil || !m.isObject(meta) {
		return err
	}
	err := readMembers(m.Raw, meta, map[string]*Span{"progressToken": &token, SubscriptionKey: &m.Subscription})
	if m.Kind == Request {
		m.Token = token
	}
	return err
}

// Bytes returns a value as it stands in the message; nil if it is absent.
func (m *Message) Bytes(at Span) []byte {
	if at.Absent() {
		return nil
	}
	return m.Raw[at.Start:at.End]
}

// Key returns an id or token in a form in which equal values are equal, even
// if one side writes 1.0 for 1 or é for é. It is empty if the value is
// neither a string nor a number.
func (m *Message) Key(at Span) string {
	if text, ok := m.text(at); ok {
		return `"` + text
	}
	number := string(m.Bytes(at))
	if number == "" || !strings.ContainsRune("-0123456789", rune(number[0])) {
		return ""
	}
	if !strings.ContainsAny(number, ".eE") {
		return number
	}
	f, err := strconv.ParseFloat(number, 64)
	if err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return number
}

// Field returns a member of an object in the message; absent if there is none
// or at is no object.
func (m *Message) Field(at Span, name string) Span {
	if !m.isObject(at) {
		return Span{}
	}
	for key, value := range members(m.Raw, at) {
		if key == name {
			return value
		}
	}
	return Span{}
}

// Elements returns the elements of an array in the message; none if at is no
// array.
func (m *Message) Elements(at Span) []Span {
	if at.Absent() || m.Raw[at.Start] != '[' {
		return nil
	}
	return slices.Collect(elements(m.Raw, at))
}

// Members yields the members of an object in the message; none if at is no
// object.
func (m *Message) Members(at Span) iter.Seq2[string, Span] {
	if !m.isObject(at) {
		return func(func(string, Span) bool) {}
	}
	return members(m.Raw, at)
}

// Text returns the string that stands at a place of the message; empty if
// there is none.
func (m *Message) Text(at Span) string {
	text, _ := m.text(at)
	return text
}

func (m *Message) text(at Span) (string, bool) {
	raw := m.Bytes(at)
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	return unquote(raw), true
}

func (m *Message) isObject(at Span) bool {
	return !at.Absent() && m.Raw[at.Start] == '{'
}
