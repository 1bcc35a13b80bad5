package chaos_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// proxy stands before a registry and spoils what it says, as a schedule has it.
type proxy struct {
	schedule *schedule
	lab      *lab

	front, storage *http.Server // What the registry redirects layers to.
	address        string
	storageURL     string
	work           sync.WaitGroup

	mu      sync.Mutex
	asked   map[string]int // How often each object was.
	tokens  grants
	signed  grants
	dialled int
	struck  int      // Faults that came about.
	wrong   []string // What the client should not have done.
}

// grants are permissions that are good for some uses, by what the client shows.
type grants map[string]int

func newProxy(l *lab, s *schedule) (*proxy, error) {
	p := &proxy{schedule: s, lab: l, asked: map[string]int{}, tokens: grants{}, signed: grants{}}
	var err error
	if p.front, p.address, err = p.serve(p.answer); err != nil {
		return nil, err
	}
	var storage string
	p.storage, storage, err = p.serve(p.answerStorage)
	if err != nil {
		return nil, errors.Join(err, p.front.Close())
	}
	p.storageURL = "http://" + storage
	if s.tls {
		p.storageURL = "https://" + storage
	}
	return p, nil
}

// serve listens, and spoils connections.
func (p *proxy) serve(handler http.HandlerFunc) (*http.Server, string, error) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	var l net.Listener = &listener{Listener: inner, proxy: p}
	if p.schedule.tls {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{p.lab.certificate}, NextProtos: []string{"h2", "http/1.1"}})
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	p.work.Go(func() { _ = server.Serve(l) }) // It ends with close.
	return server, inner.Addr().String(), nil
}

// close ends all connections and what answers on them.
func (p *proxy) close() error {
	err := errors.Join(p.front.Close(), p.storage.Close())
	p.work.Wait()
	return err
}

// strike counts a fault that came about.
func (p *proxy) strike() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.struck++
}

// struckSoFar is how many faults came about.
func (p *proxy) struckSoFar() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.struck
}

func (p *proxy) blame(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
}

// answer is the registry.
func (p *proxy) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		_, _ = fmt.Fprintf(w, `{"token":"t%s"}`, p.grant(p.tokens, p.schedule.token))
		return
	}
	if p.schedule.token > 0 && !p.use(p.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer t")) {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s://%s/token",service="x"`, p.scheme(), p.address))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	object := p.lab.objectAt(r.URL.Path)
	if p.schedule.redirect > 0 && strings.HasPrefix(object, "layer") {
		http.Redirect(w, r, fmt.Sprintf("%s%s?signed=%s", p.storageURL, r.URL.Path, p.grant(p.signed, p.schedule.redirect)), http.StatusTemporaryRedirect)
		return
	}
	p.forward(w, r, object)
}

// answerStorage is where layers are redirected to.
func (p *proxy) answerStorage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		p.blame("the storage was sent credentials")
	}
	if !p.use(p.signed, r.URL.Query().Get("signed")) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
		return
	}
	p.forward(w, r, p.lab.objectAt(r.URL.Path))
}

func (p *proxy) scheme() string {
	if p.schedule.tls {
		return "https"
	}
	return "http"
}

// grant returns what the client must show for some uses.
func (p *proxy) grant(g grants, uses int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := strconv.Itoa(len(g) + 1)
	g[shown] = uses
	return shown
}

// use reports whether what the client shows is good once more.
func (p *proxy) use(g grants, shown string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g[shown] == 0 {
		p.struck++
		return false
	}
	g[shown]--
	return true
}

// next returns what goes wrong with the next answer for an object.
func (p *proxy) next(object string) (fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.asked[object]
	p.asked[object]++
	if faults := p.schedule.answers[object]; n < len(faults) {
		return faults[n], true
	}
	f, ok := p.schedule.always[object]
	return f, ok
}

// forward asks the registry behind, and answers with what it says, more or less.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request, object string) {
	f, faulty := p.next(object)
	asksRange := r.Header.Get("Range") != ""
	switch {
	case !faulty:
	case f.kind == tooMany:
		p.strike()
		w.Header().Set("Retry-After", strconv.Itoa(f.at))
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case f.kind == unavailable:
		p.strike()
		w.Header().Set("Retry-After", time.Now().Add(time.Duration(f.at)*time.Second).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case f.kind == broken:
		p.strike()
		w.WriteHeader(http.StatusInternalServerError)
		return
	case f.kind == refused && asksRange:
		p.strike()
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	case f.kind == ignored && asksRange:
		p.strike()
		r.Header.Del("Range")
	}
	resp, err := p.lab.get(r)
	if err != nil {
		if r.Context().Err() == nil {
			p.blame("the registry behind: %v", err)
		}
		return
	}
	defer resp.Body.Close()
	b := &body{ResponseWriter: w, request: r, proxy: p, left: -1}
	b.spoil(f, faulty, resp.Header)
	if strings.HasPrefix(object, "layer") {
		b.limit(p.schedule)
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Range"} {
		if value := resp.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(resp.StatusCode)
	b.copy(resp.Body)
}

// body is that of an answer, on which a fault falls.
type body struct {
	http.ResponseWriter

	request *http.Request
	proxy   *proxy
	fault   fault
	left    int // Bytes until the fault; -1: there is none.
	end     int // Bytes until the answer is cut off; 0: it is not.
	rate    int // Bytes a second; 0: any.
}

// spoil prepares a fault, and changes the header for it.
func (b *body) spoil(f fault, faulty bool, header http.Header) {
	if !faulty {
		return
	}
	switch f.kind { //nolint:exhaustive // the other faults are not of this kind of answer
	case cut, reset, stall, slow, flip:
		b.fault, b.left = f, f.at
	case goAway:
		b.Header().Set("Connection", "close")
		b.fault, b.left = f, f.at
	case shifted:
		var from, to, size int
		if _, err := fmt.Sscanf(header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size); err == nil {
			b.proxy.strike()
			header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from+1, to, size))
		}
	case short:
		if length, err := strconv.Atoi(header.Get("Content-Length")); err == nil && f.at < length {
			b.proxy.strike()
			header.Set("Content-Length", strconv.Itoa(f.at))
		}
	}
}

func (b *body) limit(s *schedule) {
	b.end = s.every
	b.rate = s.rate
}

// copy sends an answer in pieces.
func (b *body) copy(from io.Reader) {
	buf := make([]byte, 16<<10)
	for sent := 0; ; {
		n, err := from.Read(buf)
		piece := buf[:n]
		if b.end > 0 && sent+n > b.end {
			piece = piece[:b.end-sent]
		}
		b.send(piece)
		sent += len(piece)
		if b.end > 0 && sent == b.end && err == nil {
			b.proxy.strike()
			b.abort()
		}
		if err != nil {
			return
		}
	}
}

// send sends a piece, with the fault if its time has come.
func (b *body) send(piece []byte) {
	if b.rate > 0 {
		b.pause(time.Duration(len(piece)) * time.Second / time.Duration(b.rate))
	}
	if b.left < 0 || len(piece) <= b.left {
		if b.left >= 0 {
			b.left -= len(piece)
		}
		_, _ = b.Write(piece)
		return
	}
	b.proxy.strike()
	before := piece[:b.left]
	at := b.left
	b.left = -1
	switch b.fault.kind {
	case flip:
		piece[at] ^= 1 << (b.fault.at % 8)
	case slow:
		b.rate = 200_000
	case stall:
		_, _ = b.Write(before)
		b.flush()
		<-b.request.Context().Done()
		return
	default:
		_, _ = b.Write(before)
		b.abort()
	}
	_, _ = b.Write(piece)
}

func (b *body) pause(d time.Duration) {
	b.flush()
	select {
	case <-time.After(d):
	case <-b.request.Context().Done():
	}
}

func (b *body) flush() { _ = http.NewResponseController(b.ResponseWriter).Flush() }

// abort sends what there is and cuts the answer off.
func (b *body) abort() {
	b.flush()
	panic(http.ErrAbortHandler)
}

// listener spoils the connections that it accepts.
type listener struct {
	net.Listener

	proxy *proxy
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	f, faulty := p.schedule.connections[p.dialled]
	p.dialled++
	if !faulty {
		return inner, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &conn{Conn: inner, proxy: p, fault: f, closed: ctx.Done(), cancel: cancel}
	c.left.Store(int64(f.at))
	return c, nil
}

// conn is a connection on which a fault falls.
type conn struct {
	net.Conn

	proxy  *proxy
	fault  fault
	left   atomic.Int64
	slow   atomic.Bool
	closed <-chan struct{}
	cancel context.CancelFunc
}

func (c *conn) Close() error {
	c.cancel()
	return c.Conn.Close()
}

// Write sends, with the fault if its time has come.
func (c *conn) Write(piece []byte) (int, error) {
	if c.slow.Load() {
		select {
		case <-time.After(time.Duration(len(piece)) * time.Second / 200_000):
		case <-c.closed:
		}
	}
	left := c.left.Add(-int64(len(piece))) + int64(len(piece))
	if left < 0 || int64(len(piece)) <= left {
		return c.Conn.Write(piece)
	}
	c.proxy.strike()
	switch c.fault.kind { //nolint:exhaustive // the other faults are not of the stream
	case flip:
		spoilt := append([]byte(nil), piece...)
		spoilt[left] ^= 1 << (c.fault.at % 8)
		return c.Conn.Write(spoilt)
	case slow:
		c.slow.Store(true)
		return c.Conn.Write(piece)
	}
	n, err := c.Conn.Write(piece[:left])
	if err != nil {
		return n, err
	}
	switch c.fault.kind {
	case stall:
		<-c.closed
	case reset:
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // Closing discards what is not sent, and resets.
		}
		fallthrough
	default:
		_ = c.Close()
	}
	return n, net.ErrClosed
}
