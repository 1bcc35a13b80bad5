package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// maxDiscardBytes is how much of an unwanted answer is read to keep its
// connection; beyond it a new connection is cheaper.
const maxDiscardBytes = 64 << 10

// send makes one exchange, watched: a connection that is silent for too long is
// cut, be it while dialling, before the answer or in the midst of its body. It
// goes below http.Client, which sends Authorization to other hosts and quotes
// presigned URLs in its errors.
func (s *session) send(ctx context.Context, req *http.Request) (*http.Response, error) {
	if s.userAgent != "" {
		req.Header.Set("User-Agent", s.userAgent)
	}
	ctx, dog := watch(ctx, s.stall)
	resp, err := s.transport.RoundTrip(req.WithContext(ctx))
	dog.rest()
	if err != nil {
		defer dog.leave()
		return nil, linkFault(req.URL.Host, dog.reason(err))
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, dog: dog, host: req.URL.Host}
	return resp, nil
}

// linkFault names the host. What a guard refused is no fault of a link.
func linkFault(host string, err error) error {
	if refused, ok := errors.AsType[refusal](err); ok {
		return hint.Add(refused, hint.Of(err))
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(record.RecordHeader[:]) == "HTTP/" {
		err = http.ErrSchemeMismatch // As http.Client would say it.
	}
	return &linkError{host: host, err: err}
}

// discard closes an answer that nobody wants to read, and keeps its connection
// if little is left of it. Its errors are of no consequence to anyone.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxDiscardBytes)
	_ = body.Close()
}

// readAll reads and closes an answer of at most limit bytes.
func readAll(body io.ReadCloser, limit int64) ([]byte, error) {
	defer discard(body)
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return content, nil
}

// newRequest returns a request that sendAs or send gives its context.
func newRequest(method string, u *url.URL) *http.Request {
	return &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{}}
}

func getRequest(u *url.URL, header http.Header) *http.Request {
	req := newRequest(http.MethodGet, u)
	maps.Copy(req.Header, header)
	return req
}

func setBody(req *http.Request, body string) {
	req.Body = io.NopCloser(strings.NewReader(body))
	req.ContentLength = int64(len(body))
}
