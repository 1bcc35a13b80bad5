package fastmcprunner_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTroubleshootingQuotesTheProgram holds the messages that head the entries
// of docs/troubleshooting.md against the source: each must be made of texts
// that stand in it, so that a message which changes takes its entry along.
func TestTroubleshootingQuotesTheProgram(t *testing.T) {
	t.Parallel()
	texts := readTexts(t)
	for _, elsewhere := range fromElsewhere() {
		texts.add(elsewhere)
	}
	quoted := regexp.MustCompile("(?m)^### `(.+)`$").FindAllStringSubmatch(readDoc(t, "docs/troubleshooting.md"), -1)
	if len(quoted) < 20 {
		t.Fatalf("docs/troubleshooting.md quotes only %d messages: has its form changed?", len(quoted))
	}
	for _, m := range quoted {
		for _, phrase := range phrases(m[1]) {
			if !texts.compose(strings.Fields(phrase)) {
				t.Errorf("the entry %q quotes %q, which the program does not say", m[1], phrase)
			}
		}
	}
}

// TestALineThatIsNotTheProgramsIsFound shows that the check above can fail.
func TestALineThatIsNotTheProgramsIsFound(t *testing.T) {
	t.Parallel()
	texts := texts{}
	texts.add("cannot %s %s: %v")
	texts.add("resolve")
	texts.add("no such ")
	texts.add("tag")
	for line, want := range map[string]bool{
		"cannot resolve REFERENCE: no such tag":  true,
		"cannot resolve REFERENCE: no such file": false,
		"cannot REFERENCE: such tag":             false,
		"failed to resolve REFERENCE":            false,
	} {
		got := true
		for _, phrase := range phrases(line) {
			got = got && texts.compose(strings.Fields(phrase))
		}
		if got != want {
			t.Errorf("%q: composed of the texts is %v, want %v", line, got, want)
		}
	}
}

// fromElsewhere are parts of messages that Go's libraries and the kernel say.
func fromElsewhere() []string {
	return []string{
		"dial tcp", "lookup", "on", "no such host", "connect", "connection refused",
		"http", "server gave HTTP response to HTTPS client", "tls", "failed to verify certificate", "x509", "certificate signed by unknown authority",
		"certificate has expired or is not yet valid",
		"write", "no space left on device", "read-only file system", "permission denied",
		"operation not permitted", "Not Found", "Service Unavailable", "SIGTERM",
	}
}

// texts are the phrases that the program's messages are made of.
type texts map[string]bool

func (t texts) add(text string) {
	for _, phrase := range phrases(text) {
		t[phrase] = true
	}
}

// compose reports whether words are some of the texts, one after the other.
func (t texts) compose(words []string) bool {
	if len(words) == 0 {
		return true
	}
	for n := len(words); n > 0; n-- {
		if t[strings.Join(words[:n], " ")] && t.compose(words[n:]) {
			return true
		}
	}
	return false
}

// phrases cuts a text at whatever may differ from message to message: the
// verbs of package fmt, words in capitals, numbers, and punctuation.
func phrases(text string) []string {
	varying := regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]|\b[A-Z][A-Z0-9_]*\b|\b[0-9]+[a-z]?\b`)
	words := regexp.MustCompile(`[^a-zA-Z0-9'#!-]+`)
	var list []string
	for piece := range strings.SplitSeq(varying.ReplaceAllString(text, "\n"), "\n") {
		for part := range strings.FieldsFuncSeq(piece, func(r rune) bool { return strings.ContainsRune(`:;,=()"`, r) }) {
			if part = strings.Trim(words.ReplaceAllString(part, " "), " '-"); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

// readTexts collects the string literals of the program.
func readTexts(t *testing.T) texts {
	t.Helper()
	found := texts{}
	for _, name := range programFiles(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					found.add(text)
				}
			}
			return true
		})
	}
	return found
}

// programFiles are the Go files below cmd and internal that are no tests.
func programFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(top, func(name string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestLinksBetweenDocumentsResolve follows every link from one of our documents
// to a file or heading of the repository.
func TestLinksBetweenDocumentsResolve(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	followed := 0
	for _, doc := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(withoutCode(readDoc(t, doc)), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			followed++
			checkLink(t, doc, m[1])
		}
	}
	if followed == 0 {
		t.Error("no document links to another: has their form changed?")
	}
}

func checkLink(t *testing.T, doc, target string) {
	t.Helper()
	file, anchor, hasAnchor := strings.Cut(target, "#")
	if file == "" {
		file = doc
	} else {
		file = filepath.Join(filepath.Dir(doc), file)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("%s links to %s: %v", doc, target, err)
		return
	}
	if hasAnchor && !anchors(withoutCode(readDoc(t, file)))[anchor] {
		t.Errorf("%s links to %s, but %s has no such heading", doc, target, file)
	}
}

// documents are the Markdown files of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy/*/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	return list
}

// anchors are the names that GitHub gives to the headings of a document.
func anchors(text string) map[string]bool {
	heading := regexp.MustCompile(`(?m)^#+ +(.+)$`)
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	names := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		names[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return names
}

// withoutCode drops fenced code, in which # and ]( mean something else.
func withoutCode(text string) string {
	return regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```").ReplaceAllString(text, "")
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
