package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// fault is one wrong variable.
type fault struct {
	variable string // decides the place among the others
	text     string
}

func (f fault) Error() string { return f.text }

type faults []fault

// add records a fault in the form that text gives it.
func (f *faults) add(variable, format string, args ...any) {
	*f = append(*f, fault{variable, fmt.Sprintf(format, args...)})
}

// about reports whether a fault of the variable is known.
func (f faults) about(variable string) bool {
	return slices.ContainsFunc(f, func(known fault) bool { return known.variable == variable })
}

// join returns all faults as one error, sorted by variable; nil if there are
// none.
func (f faults) join() error {
	sorted := slices.SortedStableFunc(slices.Values(f), func(a, b fault) int { return cmp.Compare(a.variable, b.variable) })
	list := make([]error, len(sorted))
	for i := range sorted {
		list[i] = sorted[i]
	}
	return errors.Join(list...)
}

// wrong records that the variable's value is wrong, and why. Of a secret it
// shows no value; neither may the cause.
func (p *parser) wrong(name, cause string) {
	v := find(func(v Variable) bool { return v.Name == name })
	if v.Secret {
		p.faults.add(name, "%s: %s", name, cause)
		return
	}
	p.faults.add(name, "%s=%s: %s", name, show(p.values[name]), cause)
}

// addParseErrors records what the library found. It names the field of the
// table; the user knows the variable.
func (p *parser) addParseErrors(err error) {
	if err == nil {
		return
	}
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		panic("internal error: " + err.Error())
	}
	for _, err := range all.Errors {
		parse, ok := errors.AsType[env.ParseError](err)
		if !ok {
			panic("internal error: " + err.Error())
		}
		v := find(func(v Variable) bool { return v.field == parse.Name })
		p.wrong(v.Name, parse.Err.Error())
	}
}

// checkText finds what is wrong with a value whatever it means.
func (p *parser) checkText() {
	for name, value := range p.values {
		// execve(2) cannot carry such a variable, so it comes from no shell.
		if strings.Contains(name+value, "\x00") {
			p.faults.add(name, "%s: holds a NUL byte", showName(name))
		}
	}
	for _, v := range Variables() {
		value := p.values[v.Name]
		if !v.spaces && strings.TrimSpace(value) != value && !p.faults.about(v.Name) {
			p.wrong(v.Name, "white space around the value: remove it")
		}
	}
}

// checkRequired finds the variables that the command needs and that are unset.
func (p *parser) checkRequired(required []string) {
	for _, v := range Variables() {
		if slices.Contains(required, v.Name) && !p.set(v.Name) {
			p.faults.add(v.Name, "%s is not set: set it, for example %s=%s", v.Name, v.Name, v.Example)
		}
	}
}

// shownBytes is how much of a wrong value a fault shows.
const shownBytes = 200

// show quotes a value for a fault: on one line, not too long, and without the
// user and password that a URL may hold.
func show(value string) string {
	value = maskUserinfo(value)
	if len(value) > shownBytes {
		return strconv.Quote(value[:shownBytes]) + "..."
	}
	return strconv.Quote(value)
}

// maskUserinfo hides what stands before an "@" in the host part of a URL or of
// a reference: "https://me:token@ghcr.io/x". What stands before the digest of
// "mcp@sha256:9f2c" is no secret.
func maskUserinfo(value string) string {
	scheme, rest := "", value
	if before, after, ok := strings.Cut(value, "://"); ok {
		scheme, rest = before+"://", after
	}
	host, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndex(host, "@")
	if at < 0 || strings.HasPrefix(host[at:], "@sha") {
		return value
	}
	return scheme + secret.Redacted + rest[at:]
}

// showName prints a variable's name so that it stays on one line.
func showName(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
