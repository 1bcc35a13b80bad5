package program

import (
	"regexp"
	"slices"
	"strings"
)

// named returns the program that the plan names: its Argv[0], or where that is a
// shell, the one that it is asked to start.
func (s search) named() string {
	if _, name, _, ok := cutShellForm(s.plan.Argv); ok {
		return name
	}
	return s.plan.Argv[0]
}

// with returns the plan's command with other words in the place of the program
// that it names. They must be such as a shell takes as they stand.
func (s search) with(words ...string) []string {
	argv := s.plan.Argv
	if before, _, after, ok := cutShellForm(argv); ok {
		argv = slices.Clone(argv)
		argv[2] = before + strings.Join(words, " ") + after
		return argv
	}
	return slices.Concat(words, argv[1:])
}

// cutShellForm cuts a command in shell form around the program without which it
// comes to nothing, if it is plain to see that there is one. Builders write the
// form as ["/bin/sh", "-c", SCRIPT].
func cutShellForm(argv []string) (before, name, after string, ok bool) {
	shells := []string{"/bin/sh", "sh", "/bin/bash", "bash", "/bin/ash", "ash"}
	if len(argv) < 3 || !slices.Contains(shells, argv[0]) || argv[1] != "-c" || goesOn(argv[2]) {
		return "", "", "", false
	}
	script := argv[2]
	at := firstWord.FindStringSubmatchIndex(script)
	if at == nil || isBuiltin(script[at[2]:at[3]]) {
		return "", "", "", false
	}
	return script[:at[2]], script[at[2]:at[3]], script[at[3]:], true
}

// firstWord matches the beginning of a script whose first word a shell takes as
// it stands for a program: it is no expansion, assignment, option or function.
var firstWord = regexp.MustCompile(`^\s*(?:exec\s+)?([\w./][\w./-]*)(?:\s+[^\s(]|\s*$)`)

// goesOn reports whether a script may go on when its first program was not
// found, as it does behind everything that joins two but "&&".
func goesOn(script string) bool {
	return strings.ContainsAny(strings.NewReplacer("&&", "", ">&", "").Replace(strings.TrimSpace(script)), ";&|\n")
}

// isBuiltin says whether a word is a reserved word of the shell, one of its
// builtins (POSIX.1-2024, 2.4, 2.9.1.4 and 2.15), or one that some shells have in
// addition.
func isBuiltin(word string) bool {
	return slices.Contains(strings.Fields(`
		. : alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc declare dirs
		disown do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts hash help history
		if in jobs kill let local logout mapfile popd print printf pushd pwd read readarray readonly return select set shift
		shopt source suspend test then time times trap true type typeset ulimit umask unalias unset until wait whence
		while`), word)
}
