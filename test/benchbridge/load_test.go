package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAnAnswerIsWholeWhenItsHeaderSaysSo(t *testing.T) {
	t.Parallel()
	const plain, chunked = "HTTP/1.1 200 OK\r\nContent-Length: 5", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
	for _, tt := range []struct {
		name, head, body string
		want             bool
	}{
		{"all of it", plain, "12345", true},
		{"a part", plain, "1234", false},
		{"a header in lower case", strings.ToLower(plain), "12345", true},
		{"no chunk", chunked, "", false},
		{"a chunk without the last one", chunked, "5\r\n12345\r\n", false},
		{"all chunks", chunked, "5\r\n12345\r\n0\r\n\r\n", true},
	} {
		if got := isWhole([]byte(tt.head), []byte(tt.body)); got != tt.want {
			t.Errorf("%s: isWhole(%q, %q) = %t", tt.name, tt.head, tt.body, got)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	if got := median([]int{9, 1, 5}); got != 5 {
		t.Errorf("median = %d, want 5", got)
	}
	if got := median[int](nil); got != 0 {
		t.Errorf("median of nothing = %d, want 0", got)
	}
}

func TestASectionIsReplaced(t *testing.T) {
	t.Parallel()
	doc := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		if err := os.WriteFile(doc, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a\n" + sectionBegin + "old\n" + sectionEnd + "z\n")
	if err := rewrite(doc, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(doc)
	if want := "a\n" + sectionBegin + "new\n" + sectionEnd + "z\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	write("a\n" + sectionBegin)
	if err := rewrite(doc, "new\n"); err == nil {
		t.Error("a document without the end of its section was rewritten")
	}
}

// TestTheLoadIsAnswered shows that all loads run, without other gateways.
func TestTheLoadIsAnswered(t *testing.T) {
	t.Parallel()
	l := newTestLab(t)
	for _, server := range []string{l.plain, l.sdk} {
		st, err := l.newStage(t.Context(), l.gateways[0], server)
		if err != nil {
			t.Fatal(err)
		}
		for i, ld := range loads() {
			s, err := st.measure(l, i, 50*time.Millisecond)
			if err != nil || s.rate == 0 || s.p50 == 0 || s.p50 > s.p99 {
				t.Errorf("%s: %+v, %v", ld.name, s, err)
			}
			if rate, err := direct(t.Context(), server, ld, 50*time.Millisecond); err != nil || rate == 0 {
				t.Errorf("%s without a gateway: %f a second, %v", ld.name, rate, err)
			}
		}
		if err := st.in.kill(); err != nil {
			t.Error(err)
		}
	}
}
