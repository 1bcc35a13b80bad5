package image_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// sample is a layer with a content that may not be what it should.
type sample struct {
	digest  v1.Hash
	content io.Reader
}

func (s sample) Descriptor() image.Descriptor { return image.Descriptor{Digest: s.digest} }
func (sample) Explain(err error) error        { return fmt.Errorf("cannot fetch the sample: %w", err) }

func (s sample) Open(context.Context, int64) (io.ReadCloser, error) {
	return io.NopCloser(s.content), nil
}

func digestOf(t *testing.T, content string) v1.Hash {
	t.Helper()
	digest, _, err := v1.SHA256(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestOpen(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	for _, test := range []struct {
		name, err string
		content   io.Reader
	}{
		{"the right content", "", strings.NewReader("content")},
		{"its end beside its last bytes", "", iotest.DataErrReader(strings.NewReader("content"))},
		{"byte by byte", "", iotest.OneByteReader(strings.NewReader("content"))},
		{"trap 29: one other byte", "cannot fetch the sample: the content does not match its digest: expected sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73, got sha256:", strings.NewReader("cOntent")},
		{"trap 29: a byte less", "does not match its digest", strings.NewReader("conten")},
		{"trap 29: a byte more", "does not match its digest", strings.NewReader("content.")},
		{"trap 29: nothing", "does not match its digest", strings.NewReader("")},
		{"a stream that breaks is no end, though all had come", "lost", io.MultiReader(strings.NewReader("content"), iotest.ErrReader(lost))},
		{"an end that is wrapped is no end", "lost: EOF", io.MultiReader(strings.NewReader("content"), iotest.ErrReader(fmt.Errorf("lost: %w", io.EOF)))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, err := image.Open(t.Context(), sample{digestOf(t, "content"), test.content})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if test.err == "" && (string(got) != "content" || err != nil) {
				t.Errorf("read %q, %v", got, err)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("read %q, %v, want the error %q", got, err, test.err)
			}
			if _, again := r.Read(make([]byte, 1)); err != nil && !errors.Is(again, err) {
				t.Errorf("after the error %v comes %v", err, again)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("Read after Close = %v, want an error", err)
			}
		})
	}
}

func TestOpenRefusesADigestThatNobodyCanMake(t *testing.T) {
	t.Parallel()
	_, err := image.Open(t.Context(), sample{v1.Hash{Algorithm: "md5", Hex: "00"}, strings.NewReader("")})
	if err == nil || !strings.HasPrefix(err.Error(), "cannot fetch the sample: ") {
		t.Errorf("Open = %v", err)
	}
}
