package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The load shares the machine with what it measures. So it is one thread that
// waits for all connections at once, and reads of an answer no more than it
// must: that it is whole, and whose it is.

// line is a keep-alive connection on which one call is in flight at a time.
type line struct {
	fd     int
	head   []byte // of the request, up to the value of Content-Length
	id     int
	sent   time.Time
	out    []byte
	answer []byte
}

// dial opens a connection for calls in a session. The ids of its calls begin
// after a given one, since those in flight in a session must differ.
func dial(addr netip.AddrPort, session string, after int) (*line, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	head := fmt.Appendf(nil, "POST /mcp HTTP/1.1\r\nHost: %s\r\nAccept: application/json, text/event-stream\r\n"+
		"Content-Type: application/json\r\nMcp-Session-Id: %s\r\nMcp-Protocol-Version: %s\r\nContent-Length: ", addr, session, revision)
	return &line{fd: fd, head: head, id: after, answer: make([]byte, 0, 64<<10)}, nil
}

func (l *line) close() error { return unix.Close(l.fd) }

// call sends the next call of the echo tool.
func (l *line) call() error {
	l.id++
	var body [160]byte
	text := append(body[:0], `{"jsonrpc":"2.0","id":`...)
	text = strconv.AppendInt(text, int64(l.id), 10)
	text = append(text, `,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}`...)
	l.out = append(l.out[:0], l.head...)
	l.out = strconv.AppendInt(l.out, int64(len(text)), 10)
	l.out = append(l.out, "\r\n\r\n"...)
	l.out = append(l.out, text...)
	l.answer = l.answer[:0]
	l.sent = time.Now()
	n, err := unix.Write(l.fd, l.out)
	if err == nil && n < len(l.out) {
		err = errors.New("the gateway does not read") // a call is small
	}
	return err
}

// read takes what has come of the answer and says whether that is all of it.
func (l *line) read() (bool, error) {
	n, err := unix.Read(l.fd, l.answer[len(l.answer):cap(l.answer)])
	switch {
	case err != nil:
		return false, err
	case n == 0:
		return false, errors.New("the gateway closed the connection")
	}
	l.answer = l.answer[:len(l.answer)+n]
	head, body, found := bytes.Cut(l.answer, []byte("\r\n\r\n"))
	if !found || !isWhole(head, body) {
		if len(l.answer) == cap(l.answer) {
			return false, errors.New("the answer is too long")
		}
		return false, nil
	}
	return true, l.check(body)
}

// isWhole says whether a body has ended as its header says.
func isWhole(head, body []byte) bool {
	if _, rest, found := bytes.Cut(head, []byte("ength: ")); found { // Content-Length or content-length
		digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
		length, err := strconv.Atoi(string(digits))
		return err == nil && len(body) >= length
	}
	return bytes.HasSuffix(body, []byte("0\r\n\r\n")) // the last chunk
}

func (l *line) check(body []byte) error {
	if !bytes.HasPrefix(l.answer, []byte("HTTP/1.1 200")) || !bytes.Contains(body, []byte("Echo: hello")) {
		return fmt.Errorf("the answer is %q", l.answer)
	}
	var id [32]byte
	mine := strconv.AppendInt(append(id[:0], `"id":`...), int64(l.id), 10)
	if !bytes.Contains(body, mine) {
		return fmt.Errorf("not the answer to call %d: %q", l.id, body)
	}
	return nil
}

// press has a call in flight on every line for so long, and returns how long
// each of them took.
func press(lines []*line, duration time.Duration) (took []time.Duration, err error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unix.Close(epoll)) }()
	for i, l := range lines {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, l.fd, &event); err != nil {
			return nil, err
		}
		if err := l.call(); err != nil {
			return nil, err
		}
	}
	return turn(epoll, lines, time.Now().Add(duration))
}

// answerTime is how long a gateway may take to answer anything.
const answerTime = 10 * time.Second

// turn takes answers and sends the next calls until the time is over and all
// are answered.
func turn(epoll int, lines []*line, end time.Time) ([]time.Duration, error) {
	took := make([]time.Duration, 0, 1<<17)
	events := make([]unix.EpollEvent, len(lines))
	for open := len(lines); open > 0; {
		n, err := unix.EpollWait(epoll, events, int(answerTime.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("%d calls were not answered within %s", open, answerTime)
		}
		for _, event := range events[:n] {
			l := lines[event.Fd]
			whole, err := l.read()
			if err != nil {
				return nil, err
			}
			if !whole {
				continue
			}
			now := time.Now()
			took = append(took, now.Sub(l.sent))
			if now.After(end) {
				open--
				continue
			}
			if err := l.call(); err != nil {
				return nil, err
			}
		}
	}
	return took, nil
}
