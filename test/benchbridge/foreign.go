package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	sseCalls = 20
	sseTime  = 3 * time.Second // for all answers to come
)

// sseClient is a client by HTTP+SSE.
type sseClient struct {
	name     string
	resp     *http.Response
	lines    *bufio.Scanner
	messages string // the URL for its messages
}

// foreign counts the answers that a client gets to the calls of another.
func (l *lab) foreign(ctx context.Context, g gateway) (f finding, err error) {
	argv := g.sse
	if argv == nil {
		argv = g.argv
	}
	in, err := l.startAs(ctx, g, argv, l.plain)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, in.kill()) }()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	var clients []*sseClient
	for _, name := range []string{"first", "second"} {
		c, err := in.connect(ctx, name)
		if err != nil {
			return finding{text: fmt.Sprintf("the %s client gets no session: %v", name, err)}, nil
		}
		clients = append(clients, c)
	}
	for i := range sseCalls {
		for _, c := range clients {
			if err := c.send(ctx, call(strconv.Itoa(i+1), "echo", `{"message":"`+c.name+`"}`)); err != nil {
				return f, err
			}
		}
	}
	own, others := 0, 0
	for _, c := range clients {
		a, b := c.count()
		own, others = own+a, others+b
	}
	all := len(clients) * sseCalls
	return finding{fmt.Sprintf("%d, and %d of %d own", others, own, all), others == 0 && own == all}, nil
}

// connect opens a stream and begins on it.
func (in *instance) connect(ctx context.Context, name string) (*sseClient, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/sse", in.addr), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r) //nolint:bodyclose // count closes it
	if err != nil {
		return nil, err
	}
	c := &sseClient{name: name, resp: resp, lines: bufio.NewScanner(resp.Body)}
	endpoint, err := r.URL.Parse(c.data())
	if err != nil {
		return nil, err
	}
	c.messages = endpoint.String()
	if err := c.send(ctx, hello); err != nil {
		return nil, err
	}
	c.data()
	return c, c.send(ctx, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// data returns the data of the next event; empty at the end of the stream.
func (c *sseClient) data() string {
	for c.lines.Scan() {
		if data, ok := strings.CutPrefix(c.lines.Text(), "data: "); ok {
			return data
		}
	}
	return ""
}

func (c *sseClient) send(ctx context.Context, message string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.messages, strings.NewReader(message))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return errors.New(resp.Status)
	}
	return nil
}

// count reads what comes in time, and closes the stream.
func (c *sseClient) count() (own, foreign int) {
	timer := time.AfterFunc(sseTime, func() { _ = c.resp.Body.Close() })
	defer timer.Stop()
	for data := c.data(); data != ""; data = c.data() {
		switch {
		case strings.Contains(data, "Echo: "+c.name):
			own++
		case strings.Contains(data, "Echo: "):
			foreign++
		}
	}
	return own, foreign
}
