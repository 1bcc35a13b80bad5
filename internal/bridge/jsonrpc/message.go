// Package jsonrpc reads the envelope of JSON-RPC messages and leaves the rest
// as it came: a message that is passed on keeps its bytes, and with them its
// large integers, its unknown members and the order of its keys. It knows
// nothing of transports, and of the Model Context Protocol only where its
// messages name one another.
package jsonrpc

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
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
	s := scanner{raw: raw}
	return s.message()
}

// MaxBatch bounds how many messages a batch may have.
const MaxBatch = 1000

// ParseBatch reads a message, or an array of messages (MCP 2025-03-26,
// basic/index, Batching); batch says that it was an array.
func ParseBatch(raw []byte) (messages []Message, batch bool, err error) {
	s := scanner{raw: raw}
	if s.space(); s.peek() != '[' {
		m, err := s.message()
		return []Message{m}, false, err
	}
	if !s.whole(nil) {
		return nil, false, errNotJSON()
	}
	if !fewElements(s.raw) {
		return nil, true, invalid("the batch has more than %d messages", MaxBatch)
	}
	for at := range elements(s.raw, Span{0, len(s.raw)}) {
		m, err := Parse(s.raw[at.Start:at.End:at.End])
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

// Servers that decode strictly, as Python does, end at the first byte that is
// not UTF-8.
func errNotJSON() error {
	return &Error{Code: CodeParse, Text: "the message is not JSON in UTF-8"}
}

// The members of a message.
const (
	versionMember = iota
	idMember
	methodMember
	paramsMember
	resultMember
	errorMember
	allMembers
)

// message reads a message.
func (s *scanner) message() (Message, error) {
	names := [allMembers]string{"jsonrpc", "id", "method", "params", "result", "error"}
	var values [allMembers]Span
	var fault error
	ok := s.whole(func(name, value Span) {
		if fault == nil {
			fault = note(s.raw[name.Start:name.End], value, names[:], values[:])
		}
	})
	switch {
	case !ok:
		return Message{}, errNotJSON()
	case s.raw[0] != '{':
		return Message{}, invalid("the message is not a JSON object")
	case fault != nil:
		return Message{}, fault
	}
	m := Message{
		Raw: s.raw, ID: values[idMember],
		Params: values[paramsMember], Result: values[resultMember], Error: values[errorMember],
	}
	if string(m.Bytes(values[versionMember])) != `"2.0"` {
		return Message{}, invalid(`the message lacks "jsonrpc": "2.0"`)
	}
	if string(m.Bytes(m.ID)) == "null" && values[methodMember].Absent() {
		m.ID = Span{}
	}
	if err := m.classify(values[methodMember]); err != nil {
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
	// The second is looked for in some notifications only.
	names, values := [2]string{"_meta"}, [2]Span{}
	wanted := 2
	switch m.Method {
	case "notifications/progress":
		names[1] = "progressToken"
	case "notifications/cancelled":
		names[1] = "requestId"
	default:
		wanted = 1
	}
	if err := find(m.Raw, body, names[:wanted], values[:]); err != nil {
		return err
	}
	switch m.Method {
	case "notifications/progress":
		m.Token = values[1]
	case "notifications/cancelled":
		m.Cancels = values[1]
	}
	if !m.isObject(values[0]) {
		return nil
	}
	return m.readMeta(values[0])
}

// readMeta reads the _meta of a message.
func (m *Message) readMeta(meta Span) error {
	names, values := [2]string{"progressToken", SubscriptionKey}, [2]Span{}
	err := find(m.Raw, meta, names[:], values[:])
	if m.Kind == Request {
		m.Token = values[0]
	}
	m.Subscription = values[1]
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
		if string(nameIn(m.Raw[key.Start:key.End])) == name {
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

// Members yields the members of an object in the message, by their names; none
// if at is no object.
func (m *Message) Members(at Span) iter.Seq2[string, Span] {
	return func(yield func(string, Span) bool) {
		if !m.isObject(at) {
			return
		}
		for key, value := range members(m.Raw, at) {
			if !yield(string(nameIn(m.Raw[key.Start:key.End])), value) {
				return
			}
		}
	}
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
