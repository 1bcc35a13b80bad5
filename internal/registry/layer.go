package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// layer is one layer of an image, still at the registry.
type layer struct {
	described image.Descriptor
	urls      []string // Where a foreign layer may be had if the registry has it not.
	session   *session
}

// Descriptor says what the manifest says of the layer.
func (l *layer) Descriptor() image.Descriptor { return l.described }

// Open streams the layer's blob as the registry keeps it, from a byte on. Broken
// connections are resumed where they broke, so that it ends in io.EOF if and only
// if it had all the bytes that the manifest says.
func (l *layer) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{
		offset: offset,
		size:   l.described.Size,
		pace:   newPace(l.session.ranges, time.Now(), offset),
		ways:   l.ways(ctx),
		cancel: cancel,
	}
	f.one = f.ways.rest(offset)
	b := &blob{feed: f, explain: l.Explain}
	if err := f.one.connect(); err != nil {
		cancel()
		return nil, b.fault(err)
	}
	return b, nil
}

// Explain says that it was the registry's blob.
func (l *layer) Explain(err error) error {
	return hint.Add(&Error{Op: "fetch", Object: "the blob", Err: err}, hintFor(err, l.session.anonymous))
}

// openAt makes one attempt to open the blob at an offset. The registry is asked
// each time, for a presigned URL that it redirected to before may have expired.
// Only when it has no such blob are a foreign layer's own URLs tried, without
// credentials: they are the image author's word.
func (l *layer) openAt(ctx context.Context, offset int64) (io.ReadCloser, error) {
	at := l.session.blobURL(l.described.Digest)
	body, err := l.receive(offset, func(h http.Header) (*http.Response, error) { return l.session.get(ctx, at, h) })
	if status, ok := errors.AsType[*statusError](err); !ok || status.code != http.StatusNotFound {
		return body, err
	}
	for _, foreign := range l.urls {
		at, parseErr := url.Parse(foreign)
		if parseErr != nil {
			return nil, fmt.Errorf("the foreign layer is at %q, which is no URL", image.Abbreviate(foreign))
		}
		body, err = l.receive(offset, func(h http.Header) (*http.Response, error) { return l.session.getForeign(ctx, at, h) })
		if err == nil {
			return body, nil
		}
	}
	return nil, err
}

// receive returns the blob from an offset on, by a range (RFC 9110, section 14)
// if the server can, else by skipping what is known already.
func (l *layer) receive(offset int64, get func(http.Header) (*http.Response, error)) (io.ReadCloser, error) {
	if offset > 0 {
		resp, err := get(http.Header{"Range": {fmt.Sprintf("bytes=%d-", offset)}})
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusPartialContent && l.continues(resp, offset):
			return resp.Body, nil
		case resp.StatusCode != http.StatusPartialContent && resp.StatusCode != http.StatusRequestedRangeNotSatisfiable:
			return l.skip(resp, offset)
		}
		discard(resp.Body) // A range that is not the one asked for.
	}
	resp, err := get(nil)
	if err != nil {
		return nil, err
	}
	return l.skip(resp, offset)
}

// contentRange is the form of a Content-Range header: RFC 9110, section 14.4.
var contentRange = regexp.MustCompile(`^bytes (\d+)-\d+/(\d+|\*)$`)

// continues reports whether a partial answer is the rest of the blob.
func (l *layer) continues(resp *http.Response, offset int64) bool {
	m := contentRange.FindStringSubmatch(resp.Header.Get("Content-Range"))
	return m != nil && m[1] == strconv.FormatInt(offset, 10) &&
		(m[2] == "*" || m[2] == strconv.FormatInt(l.described.Size, 10))
}

// skip returns the body of an answer that holds the whole blob, from an offset on.
func (l *layer) skip(resp *http.Response, offset int64) (io.ReadCloser, error) {
	if resp.StatusCode != http.StatusOK {
		return nil, l.session.failure(resp, "blob")
	}
	if resp.ContentLength >= 0 && resp.ContentLength != l.described.Size {
		defer discard(resp.Body)
		if mediaTypeOf(resp.Header.Get("Content-Type")) == "text/html" {
			return nil, pageError(resp.Request.URL.Host)
		}
		return nil, fmt.Errorf("%s sends %d bytes, where the manifest says %d", resp.Request.URL.Host, resp.ContentLength, l.described.Size)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, offset); err != nil {
		defer discard(resp.Body)
		return nil, broken(err)
	}
	return resp.Body, nil
}
