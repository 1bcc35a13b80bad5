package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// listener is a subscriptions/listen request to a legacy server, which knows
// no such thing.
type listener struct {
	call *laneCall
	// methods are the notifications that it gets.
	methods []string
	// uris are the resources of whose changes it hears.
	uris []string
}

// maxURIs bounds the resources of one subscription.
const maxURIs = 256

const (
	toolsChanged     = "notifications/tools/list_changed"
	promptsChanged   = "notifications/prompts/list_changed"
	resourcesChanged = "notifications/resources/list_changed"
	resourceUpdated  = "notifications/resources/updated"
)

// filter is what a client wants to hear of, or what it will hear of
// (basic/patterns/subscriptions).
type filter struct {
	Tools     bool     `json:"toolsListChanged,omitempty"`
	Prompts   bool     `json:"promptsListChanged,omitempty"`
	Resources bool     `json:"resourcesListChanged,omitempty"`
	URIs      []string `json:"resourceSubscriptions,omitempty"`
}

// listen serves a subscription.
func (b *Bridge) listen(w http.ResponseWriter, r *http.Request, l *lane, m *modernRequest) error {
	var wanted filter
	text := orEmpty(m.Bytes(m.Field(m.Params, "notifications")))
	if len(text) > trusted {
		return &fault{code: jsonrpc.CodeInvalidParams, text: fmt.Sprintf("the filter of the subscription has more than %d bytes", trusted)}
	}
	if err := json.Unmarshal(text, &wanted); err != nil {
		return &fault{code: jsonrpc.CodeInvalidParams, text: "the filter of the subscription cannot be read"}
	}
	if len(wanted.URIs) > maxURIs {
		return &fault{code: jsonrpc.CodeInvalidParams, text: fmt.Sprintf("the subscription names more than %d resources", maxURIs)}
	}
	granted := l.grant(wanted)
	c, err := l.open(m, nil)
	if err != nil {
		return err
	}
	on := &listener{call: c, methods: granted.methods(), uris: granted.URIs}
	l.subscribe(r.Context(), on, granted)
	defer l.unsubscribe(context.WithoutCancel(r.Context()), on)
	out := b.newResponder(w)
	if out.begin(c.stream) == nil {
		out.serve(r.Context(), c.stream, c.reader)
	}
	return nil
}

// grant returns the part of a filter that the server can serve.
func (l *lane) grant(wanted filter) filter {
	h := &l.hello
	capabilities := h.Field(h.Result, "capabilities")
	offers := func(of, what string) bool {
		return string(h.Bytes(h.Field(h.Field(capabilities, of), what))) == "true"
	}
	granted := filter{
		Tools:     wanted.Tools && offers("tools", "listChanged"),
		Prompts:   wanted.Prompts && offers("prompts", "listChanged"),
		Resources: wanted.Resources && offers("resources", "listChanged"),
	}
	if offers("resources", "subscribe") {
		granted.URIs = wanted.URIs
	}
	return granted
}

func (f filter) methods() []string {
	var methods []string
	for _, of := range []struct {
		method string
		wanted bool
	}{
		{toolsChanged, f.Tools},
		{promptsChanged, f.Prompts},
		{resourcesChanged, f.Resources},
		{resourceUpdated, len(f.URIs) > 0},
	} {
		if of.wanted {
			methods = append(methods, of.method)
		}
	}
	return methods
}

// subscribe acknowledges a subscription, as the first message on its stream,
// and begins it.
func (l *lane) subscribe(ctx context.Context, on *listener, granted filter) {
	s := l.session
	s.box.mu.Lock()
	fresh := slices.DeleteFunc(slices.Clone(on.uris), l.isSubscribed)
	l.listeners = append(l.listeners, on)
	on.call.stream.add(jsonrpc.Call(nil, "notifications/subscriptions/acknowledged", jsonrpc.Encode(struct {
		Meta    map[string]json.RawMessage `json:"_meta"`
		Granted filter                     `json:"notifications"`
	}{on.meta(), granted})), false)
	s.box.mu.Unlock()
	l.tell(ctx, "resources/subscribe", fresh)
}

// unsubscribe ends a subscription.
func (l *lane) unsubscribe(ctx context.Context, on *listener) {
	s := l.session
	s.box.mu.Lock()
	l.forget(on.call)
	s.forget(on.call.call, cancelled)
	s.box.drop(on.call.stream)
	l.listeners = slices.DeleteFunc(l.listeners, func(other *listener) bool { return other == on })
	stale := slices.DeleteFunc(slices.Clone(on.uris), l.isSubscribed)
	s.box.mu.Unlock()
	l.tell(ctx, "resources/unsubscribe", stale)
}

// isSubscribed says whether somebody listens to a resource. The lock is held.
func (l *lane) isSubscribed(uri string) bool {
	return slices.ContainsFunc(l.listeners, func(on *listener) bool { return slices.Contains(on.uris, uri) })
}

// meta is the _meta of all that a subscription sends.
func (on *listener) meta() map[string]json.RawMessage {
	return map[string]json.RawMessage{jsonrpc.SubscriptionKey: on.call.id}
}

// notifyListeners sends a notification of the server to all who listen to it,
// and says whether it is of that kind. The lock is held.
func (l *lane) notifyListeners(m jsonrpc.Message) bool {
	if !slices.Contains([]string{toolsChanged, promptsChanged, resourcesChanged, resourceUpdated}, m.Method) {
		return false
	}
	uri := m.Text(m.Field(m.Params, "uri"))
	for _, on := range slices.Clone(l.listeners) {
		if !slices.Contains(on.methods, m.Method) || m.Method == resourceUpdated && !slices.Contains(on.uris, uri) {
			continue
		}
		if on.call.stream.waiting() > laneUnsent {
			on.call.stream.detach(on.call.reader)
			continue
		}
		on.call.stream.add(on.mark(m).Raw, false)
	}
	return true
}

// mark adds the subscription to a notification.
func (on *listener) mark(m jsonrpc.Message) jsonrpc.Message {
	if m.Params.Absent() {
		whole := jsonrpc.Span{Start: 0, End: len(m.Raw)}
		m = withMember(m, whole, "params", json.RawMessage("{}"))
	}
	m = withMember(m, m.Params, "_meta", json.RawMessage("{}"))
	return withMember(m, m.Field(m.Params, "_meta"), jsonrpc.SubscriptionKey, on.call.id)
}
