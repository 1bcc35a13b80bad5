package image

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Open streams the whole of a layer. The stream ends in io.EOF if and only if
// it has the digest of the layer: nothing in it may be trusted before that.
func Open(ctx context.Context, l Layer) (io.ReadCloser, error) {
	hasher, err := v1.Hasher(l.Descriptor().Digest.Algorithm)
	if err != nil {
		return nil, l.Explain(err)
	}
	blob, err := l.Open(ctx, 0)
	if err != nil {
		return nil, err
	}
	return &verified{layer: l, hasher: hasher, content: blob}, nil
}

// verified hashes a stream, and ends well only if the digest is right.
type verified struct {
	layer   Layer
	hasher  hash.Hash
	content io.ReadCloser
	err     error // What every further Read returns.
}

// Read reads.
func (v *verified) Read(p []byte) (int, error) {
	if len(p) == 0 || v.err != nil {
		return 0, v.err
	}
	n, err := v.content.Read(p)
	_, _ = v.hasher.Write(p[:n]) // A hash never fails.
	if err == io.EOF {           //nolint:errorlint // a wrapped one would be a failure, such as a lost connection
		err = v.verdict()
	}
	v.err = err
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// verdict is io.EOF if the digest is right.
func (v *verified) verdict() error {
	if err := checkSum(v.hasher, v.layer.Descriptor().Digest); err != nil {
		return v.layer.Explain(err)
	}
	return io.EOF
}

// Close ends the stream, wherever it is.
func (v *verified) Close() error {
	v.err = fs.ErrClosed
	return v.content.Close()
}

// verify holds content against its descriptor.
func verify(content []byte, want v1.Descriptor) error {
	hasher, err := v1.Hasher(want.Digest.Algorithm)
	if err != nil {
		return err
	}
	if want.Size != UnknownSize && want.Size != int64(len(content)) {
		return fmt.Errorf("%s has %d bytes, where its descriptor says %d", want.Digest, len(content), want.Size)
	}
	_, _ = hasher.Write(content) // A hash never fails.
	return checkSum(hasher, want.Digest)
}

func checkSum(hasher hash.Hash, want v1.Hash) error {
	got := v1.Hash{Algorithm: want.Algorithm, Hex: hex.EncodeToString(hasher.Sum(nil))}
	if got != want {
		return &DigestError{Want: want, Got: got}
	}
	return nil
}

// DigestError says that content is not what its digest promises.
type DigestError struct {
	Want, Got v1.Hash
}

// Error names both digests.
func (e *DigestError) Error() string {
	return fmt.Sprintf("the content does not match its digest: expected %s, got %s", e.Want, e.Got)
}
