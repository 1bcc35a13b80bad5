package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// faithTime is how long a gateway may take for a message of many megabytes.
const faithTime = 20 * time.Second

// errand is a request, and its answer as the server writes it.
type errand struct{ name, request, answer string }

func errands() []errand {
	result := func(id, result string) string { return `{"jsonrpc":"2.0","id":` + id + `,"result":` + result + `}` }
	echo := func(id, text string) string { return result(id, `{"content":[{"type":"text","text":"`+text+`"}]}`) }
	reflected := func(id, arguments string) string {
		return result(id, `{"content":[],"structuredContent":`+arguments+`}`)
	}
	const large = "9007199254740993" // 2^53 + 1
	numbers := `{"n":` + large + `,"f":1.10,"e":1E2}`
	text := `{"text":"` + strings.Repeat("é", 5_000_000/len("é")) + `"}`
	return []errand{
		{"12 MB answer", call("2", "echo", `{"message":"x","times":12000000}`), echo("2", "Echo: "+strings.Repeat("x", 12_000_000))},
		{"5 MB request", call("2", "reflect", text), reflected("2", text)},
		{"id above 2^53", call(large, "echo", `{"message":"hello"}`), echo(large, "Echo: hello")},
		{"numbers above 2^53", call("2", "reflect", numbers), reflected("2", numbers)},
		{"noise on stdout", call("2", "noise", `{"message":"hello"}`), echo("2", "Echo: hello")},
		{"unknown method", `{"jsonrpc":"2.0","id":2,"method":"acme/odd","params":{"zeta":1,"alpha":[ ]}}`, result("2", `{"zeta":1,"alpha":[ ]}`)},
	}
}

// faithful says which requests and answers come through as they are, after
// which the session still answers. Each has a gateway of its own.
func (l *lab) faithful(ctx context.Context, g gateway) (finding, error) {
	all := errands()
	var failed []string
	for _, e := range all {
		bad, err := with(ctx, l, g, func(in *instance) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, faithTime)
			defer cancel()
			s, err := in.open(ctx)
			if err != nil {
				return "", err
			}
			return s.run(ctx, e), nil
		}, l.plain)
		if err != nil {
			return finding{}, err
		}
		if bad != "" {
			failed = append(failed, bad)
		}
	}
	if len(failed) == 0 {
		return finding{fmt.Sprintf("all %d", len(all)), true}, nil
	}
	return finding{text: fmt.Sprintf("%d of %d; not: %s", len(all)-len(failed), len(all), strings.Join(failed, ", "))}, nil
}

// run says what is wrong with the answer to a request; empty if nothing is.
func (s *session) run(ctx context.Context, e errand) string {
	got, err := s.ask(ctx, e.request)
	if err != nil {
		return e.name + " (no answer)"
	}
	if string(got) != e.answer {
		return e.name + " (changed)"
	}
	if _, err := s.ask(ctx, call("3", "echo", `{"message":"hello"}`)); err != nil {
		return e.name + " (the last one)"
	}
	return ""
}
