package launch

import (
	"slices"
	"strings"
)

// Script returns the plan as a POSIX shell script, so that a person can read
// and rerun exactly what runs. It shows secrets; see RedactedScript.
func (p Plan) Script() string { return p.script(nil) }

// RedactedScript returns the script with [redacted] in place of the values of
// the variables that Plan.Secret names.
func (p Plan) RedactedScript() string { return p.script(p.Secret) }

// env -i gives the program this environment and nothing of the caller's: no
// variable that the shell adds (PWD, _) and, unlike export, also the names
// that are no shell identifiers. The -- is there for names that begin with a
// dash.
func (p Plan) script(redact []string) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	b.WriteString("# What FastMCP Runner starts, as user " + p.User.String() + ". Written for reading and rerunning.\n")
	b.WriteString("cd " + quote(p.Dir) + " && exec env -i --")
	for _, entry := range p.Env {
		if name, _, _ := strings.Cut(entry, "="); slices.Contains(redact, name) {
			entry = name + "=[redacted]"
		}
		b.WriteString(" \\\n  " + quote(entry))
	}
	b.WriteString(" \\\n ")
	if strings.Contains(p.Argv[0], "=") {
		// env would take the command for another variable. nice starts it
		// without changing anything, and is found by the caller's PATH.
		b.WriteString(` "$(command -v nice)" -n 0 --`)
	}
	for _, arg := range p.Argv {
		b.WriteString(" " + quote(arg))
	}
	b.WriteString("\n")
	return b.String()
}

// plain holds the bytes that mean nothing to a shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"

// quote writes a word so that a shell reads back these bytes: between single
// quotes everything but the single quote stands for itself (POSIX.1-2024, Shell
// Command Language 2.2.2).
func quote(word string) string {
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
