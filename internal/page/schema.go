package page

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

const (
	// maxSchema bounds the schema of a tool that is read, in bytes.
	maxSchema = 256 << 10
	// maxArguments bounds the arguments of a tool that are shown.
	maxArguments = 64
	// maxNesting bounds how deep the arguments within arguments are shown.
	maxNesting = 3
	// maxRefs bounds how many references to definitions are followed at once.
	maxRefs = 8
	// maxWork bounds how many bytes are parsed for one schema: the definitions
	// of a small one may refer to one another without end.
	maxWork = 2 << 20
	// maxChoices bounds the choices of an argument that are shown.
	maxChoices = 24
)

// argument is one argument of a tool, as it is shown.
type argument struct {
	Name, Type, Description string
	Required                bool
	Default                 string
	Choices                 []string
	MoreChoices             int
}

// schema is as much of a JSON schema (draft 2020-12) as is shown. A member of
// a wrong type counts as missing.
type schema struct {
	Type        typeNames                  `json:"type"`
	Description string                     `json:"description"`
	Format      string                     `json:"format"`
	Default     json.RawMessage            `json:"default"`
	Const       json.RawMessage            `json:"const"`
	Enum        []json.RawMessage          `json:"enum"`
	Items       json.RawMessage            `json:"items"`
	AnyOf       []json.RawMessage          `json:"anyOf"`
	OneOf       []json.RawMessage          `json:"oneOf"`
	AllOf       []json.RawMessage          `json:"allOf"`
	Ref         string                     `json:"$ref"`
	Properties  members                    `json:"properties"`
	Required    []string                   `json:"required"`
	Defs        map[string]json.RawMessage `json:"$defs"`
	Definitions map[string]json.RawMessage `json:"definitions"`
}

// typeNames are one type or several.
type typeNames []string

// UnmarshalJSON reads a string or an array of strings.
func (t *typeNames) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = typeNames{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// members are those of an object in their order, which a map would lose: it is
// the order in which the author of a tool thought of its arguments.
type members []member

type member struct {
	name  string
	value json.RawMessage
}

// UnmarshalJSON reads an object.
func (m *members) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return errors.New("not an object")
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		name, _ := token.(string)
		*m = append(*m, member{name, value})
	}
	return nil
}

// reader reads the arguments of one tool out of its schema.
type reader struct {
	root   schema
	budget *budget
	found  []argument
	more   bool // there are more than are shown
	work   int  // bytes that were parsed
}

// readArguments returns the arguments that a schema describes, and whether
// there are more.
func readArguments(text json.RawMessage, b *budget) (found []argument, more bool) {
	if len(text) > maxSchema || b.texts <= 0 || b.schemas <= 0 {
		return nil, len(text) > 0
	}
	r := reader{budget: b}
	r.root = r.parse(text)
	r.read(r.resolve(r.root), "", 1)
	return r.found, r.more
}

// parse reads a schema, or nothing when there was too much to read.
func (r *reader) parse(text json.RawMessage) schema {
	var s schema
	if r.work += len(text); r.work > maxWork {
		return s
	}
	r.budget.schemas -= len(text)
	// What is wrong is left out; encoding/json reads the rest all the same.
	_ = json.Unmarshal(text, &s)
	return s
}

// read adds the properties of an object, each followed by those within it.
func (r *reader) read(s schema, prefix string, depth int) {
	for _, p := range s.Properties {
		if len(r.found) == maxArguments {
			r.more = true
			return
		}
		inner := r.resolve(r.parse(p.value))
		r.found = append(r.found, r.describe(prefix+p.name, inner, slices.Contains(s.Required, p.name)))
		if depth < maxNesting {
			object, suffix := r.object(inner)
			r.read(object, prefix+p.name+suffix+".", depth+1)
		}
	}
}

// object returns the schema of the object that an argument is, or that the
// items of an array are, and what its name ends with.
func (r *reader) object(s schema) (object schema, suffix string) {
	if len(s.Properties) == 0 && len(s.Items) > 0 {
		return r.resolve(r.parse(s.Items)), "[]"
	}
	return s, ""
}

func (r *reader) describe(name string, s schema, required bool) argument {
	a := argument{
		Name: r.budget.take(name, 128), Type: r.budget.take(r.typeOf(s, 0), 80), Required: required,
		Description: r.budget.take(s.Description, 1<<10),
	}
	if len(s.Default) > 0 && string(s.Default) != "null" {
		a.Default = r.budget.take(compact(s.Default), 200)
	}
	choices := s.choices()
	for _, choice := range choices[:min(len(choices), maxChoices)] {
		a.Choices = append(a.Choices, r.budget.take(compact(choice), 80))
	}
	a.MoreChoices = len(choices) - len(a.Choices)
	return a
}

// choices are the values that an argument may have, if they are listed.
func (s schema) choices() []json.RawMessage {
	if len(s.Const) > 0 {
		return []json.RawMessage{s.Const}
	}
	var list []json.RawMessage
	for _, choice := range s.Enum {
		if string(choice) != "null" {
			list = append(list, choice)
		}
	}
	return list
}

// compact returns a value without white space; of a string, the text.
func compact(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return string(value)
	}
	return out.String()
}

// resolve follows references to the definitions of the same schema, and makes
// one of a schema and the only one that it may be besides null: libraries
// write optional arguments and enumerations so.
func (r *reader) resolve(s schema) schema {
	for range maxRefs {
		inner, ok := r.inner(s)
		if !ok {
			break
		}
		inner.Description = cmp.Or(s.Description, inner.Description)
		if len(s.Default) > 0 {
			inner.Default = s.Default
		}
		s = inner
	}
	return s
}

// inner returns what a schema stands for, if that is another one.
func (r *reader) inner(s schema) (schema, bool) {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		text, ok := r.root.Defs[name]
		return r.parse(text), ok
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
		text, ok := r.root.Definitions[name]
		return r.parse(text), ok
	}
	if len(s.Type) > 0 || len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) == 0 {
		return schema{}, false
	}
	var others []schema
	for _, text := range slices.Concat(s.AllOf, s.AnyOf, s.OneOf) {
		if other := r.parse(text); !slices.Equal(other.Type, typeNames{"null"}) {
			others = append(others, other)
		}
	}
	if len(others) != 1 {
		return schema{}, false
	}
	return others[0], true
}

// typeOf returns the type of an argument in a few words.
func (r *reader) typeOf(s schema, depth int) string {
	s = r.resolve(s)
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) && name != "null" && len(names) < 8 {
			names = append(names, name)
		}
	}
	for _, name := range s.Type {
		switch {
		case name == "array" && len(s.Items) > 0 && depth < maxNesting:
			item := r.typeOf(r.parse(s.Items), depth+1)
			if strings.Contains(item, " ") {
				item = "(" + item + ")"
			}
			add(item + "[]")
		case name == "string" && s.Format != "":
			add(s.Format)
		default:
			add(name)
		}
	}
	if len(s.Type) == 0 && depth < maxNesting {
		for _, text := range slices.Concat(s.AnyOf, s.OneOf) {
			add(r.typeOf(r.parse(text), depth+1))
		}
	}
	switch {
	case len(names) > 0:
		return strings.Join(names, " or ")
	case len(s.Properties) > 0:
		return "object"
	case len(s.choices()) > 0:
		return "one of"
	}
	return "any"
}
