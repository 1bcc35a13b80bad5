package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// limits are what a registry that is far away gives.
type limits struct {
	bytesPerSecond int64         // of each response
	firstByte      time.Duration // from a request to its response
	ranges         bool          // whether parts of a blob can be asked for
}

// proxy serves the registry at target within limits, at a port that the kernel
// chooses, until stop is called.
func (l limits) proxy(target string) (address string, stop func() error, err error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: l.handler(target), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	return listener.Addr().String(), func() error {
		err := server.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

func (l limits) handler(target string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
			if !l.ranges {
				r.Out.Header.Del("Range")
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			if !l.ranges {
				resp.Header.Del("Accept-Ranges")
			}
			time.Sleep(l.firstByte)
			resp.Body = &paced{ReadCloser: resp.Body, rate: l.bytesPerSecond, start: time.Now()}
			return nil
		},
		BufferPool: buffers{},
	}
}

// paced is a body that comes no faster than rate.
type paced struct {
	io.ReadCloser
	rate  int64 // bytes per second
	start time.Time
	n     int64
}

// Read reads, and returns when what was read so far is due.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.n += int64(n)
	due := p.start.Add(time.Duration(float64(p.n) / float64(p.rate) * float64(time.Second)))
	time.Sleep(time.Until(due))
	return n, err
}

// buffers are those that bodies are copied through: a few large ones cost the
// machine less than many small ones.
type buffers struct{}

func (buffers) Get() []byte { return make([]byte, 128<<10) }
func (buffers) Put([]byte)  {}
