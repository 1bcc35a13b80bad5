package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
)

// ways are the ways to the bytes of one blob.
type ways struct {
	budget *budget
	// rest is all that follows an offset, by one connection at a time.
	rest func(offset int64) *stretch
	// ask reports whether the byte at an offset can be had by a range.
	ask func(offset int64) bool
	// parts is all that follows an offset, by ranges.
	parts func(offset int64) *parts
	// crowded reports, once, that the requests for parts were found too many.
	crowded func() bool
}

// ways returns those to the layer's blob, under a context that governs all that
// they open.
func (l *layer) ways(ctx context.Context) ways {
	source := &partSource{layer: l, session: l.session.separately()}
	return ways{
		budget: l.session.budget,
		rest: func(offset int64) *stretch {
			return l.stretch(ctx, offset, l.described.Size, func(offset int64) (io.ReadCloser, error) { return l.openAt(ctx, offset) })
		},
		ask: func(offset int64) bool {
			body, err := source.open(ctx, nil, offset, offset+1)
			if err != nil {
				return false
			}
			discard(body)
			return true
		},
		parts: func(offset int64) *parts {
			ctx, cancel := context.WithCancel(ctx)
			open := func(from, to int64) *stretch {
				at := source.found.Load() // For the first attempt, since a presigned URL expires.
				return l.stretch(ctx, from, to, func(offset int64) (io.ReadCloser, error) {
					defer func() { at = nil }()
					return source.open(ctx, at, offset, to)
				})
			}
			return newParts(l.session.budget, l.session.ranges.PartBytes, offset, l.described.Size, open, cancel)
		},
		crowded: func() bool { return source.crowded.Swap(false) },
	}
}

// stretch returns a stream from one offset to another that is as patient as open
// deserves.
func (l *layer) stretch(ctx context.Context, from, to int64, open func(int64) (io.ReadCloser, error)) *stretch {
	p := newPatience(l.session.delay, l.session.log)
	return &stretch{
		offset: from, end: to, open: open, progress: p.progress,
		wait: func(err error) error { return p.wait(ctx, err) },
	}
}

// errNoRange says that a server does not give the range that it was asked for.
var errNoRange = errors.New("the server gives no ranges")

// partSource opens parts of a blob.
type partSource struct {
	layer   *layer
	session *session
	// found is where a part was had last: at the registry, or where that redirects
	// to, so that not each of many parts takes the way by the registry.
	found atomic.Pointer[url.URL]
	// crowded says that a part was refused because of too many requests.
	crowded atomic.Bool
}

// open makes one attempt to open the bytes from one offset to another, at a URL
// or, if that is nil, by the registry.
func (s *partSource) open(ctx context.Context, at *url.URL, from, to int64) (io.ReadCloser, error) {
	if at == nil {
		at = s.session.blobURL(s.layer.described.Digest)
	}
	resp, err := s.session.get(ctx, at, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, to-1)}})
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if s.layer.continues(resp, from) {
			s.found.Store(resp.Request.URL)
			return resp.Body, nil
		}
		fallthrough
	case http.StatusOK, http.StatusRequestedRangeNotSatisfiable:
		discard(resp.Body)
		return nil, errNoRange
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		s.crowded.Store(true)
	}
	return nil, s.session.failure(resp, "blob")
}
