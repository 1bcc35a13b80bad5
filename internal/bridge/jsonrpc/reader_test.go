package jsonrpc_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// readAll returns all lines; one that is too long is shown by the key of its
// message, in angle brackets.
func readAll(t *testing.T, src io.Reader, limit int) []string {
	t.Helper()
	var lines []string
	for r := jsonrpc.NewReader(src, limit); ; {
		line, err := r.Line()
		var tooLong *jsonrpc.TooLongError
		switch {
		case err == nil:
			lines = append(lines, string(line))
		case errors.As(err, &tooLong):
			lines = append(lines, "<"+tooLong.Key()+">")
		case errors.Is(err, io.EOF):
			return lines
		default:
			t.Fatal(err)
		}
	}
}

func TestReaderReadsLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"lines", "a\nb\n", []string{"a", "b"}},
		{"the last line lacks its end", "a\nb", []string{"a", "b"}},
		{"empty lines", "\n\r\n", []string{"", "\r"}},
		{"a line as long as the limit", long + "\nb\n", []string{long, "b"}},
		{"a line longer than the limit is skipped", "a\n" + long + "x\nb\n", []string{"a", "<>", "b"}},
		{"the id of a line that is too long", `{"jsonrpc":"2.0","id":7,"result":"` + long + "\"}\nb\n", []string{"<7>", "b"}},
		{"an id behind what is too long", `{"result":"` + long + "\",\"id\":7}\nb\n", []string{"<>", "b"}},
		{"too long up to the end of the stream", "a\n" + long + long, []string{"a", "<>"}},
		{"a line of many times the limit is told as often", strings.Repeat(long, 3) + "\nb\n", []string{"<>", "<>", "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, src := range map[string]io.Reader{
				"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				if diff := cmp.Diff(tt.want, readAll(t, src, len(long))); diff != "" {
					t.Errorf("%s: -want +got\n%s", name, diff)
				}
			}
		})
	}
}

func TestALineMayHave64MiB(t *testing.T) {
	t.Parallel()
	const limit = 64 << 20
	largest := strings.Repeat("x", limit)
	r := jsonrpc.NewReader(strings.NewReader(largest+"\n"+largest+"x\nlast\n"), jsonrpc.MaxLine)
	if line, err := r.Line(); err != nil || string(line) != largest {
		t.Errorf("a line of 64 MiB: %d bytes, %v", len(line), err)
	}
	line, err := r.Line()
	if tooLong, ok := errors.AsType[*jsonrpc.TooLongError](err); !ok || tooLong.Limit != limit {
		t.Errorf("a line of more: %d bytes, %v", len(line), err)
	}
	if line, err := r.Line(); err != nil || string(line) != "last" {
		t.Errorf("the next line: %.10q, %v", line, err)
	}
}

func TestALineIsTooLongBeforeItEnds(t *testing.T) {
	t.Parallel()
	src, server := io.Pipe()
	go func() {
		for { // the line does not end
			if _, err := server.Write([]byte("xxx")); err != nil {
				return
			}
		}
	}()
	r := jsonrpc.NewReader(src, 100)
	for i := range 3 {
		_, err := r.Line()
		tooLong, ok := errors.AsType[*jsonrpc.TooLongError](err)
		if !ok || tooLong.Limit != 100 || (tooLong.Head == nil) != (i > 0) {
			t.Errorf("error %d: %+v, want that the line is too long", i, err)
		}
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReaderReturnsErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r := jsonrpc.NewReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 10)
	if line, err := r.Line(); string(line) != "a" || err != nil {
		t.Fatalf("Line = %q, %v", line, err)
	}
	if line, err := r.Line(); !errors.Is(err, broken) {
		t.Errorf("Line = %q, %v; want %v", line, err, broken)
	}
}

func TestLinesDoNotShareMemory(t *testing.T) {
	t.Parallel()
	r := jsonrpc.NewReader(strings.NewReader("first\nother\n"), 10)
	first, err := r.Line()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Line(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, []byte("first")) {
		t.Errorf("the first line became %q", first)
	}
}
