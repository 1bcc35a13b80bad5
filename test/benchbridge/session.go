package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// revision is the revision of MCP that all gateways speak.
const revision = "2025-06-18"

// session is a session by Streamable HTTP.
type session struct {
	url  string
	id   string
	http *http.Client
}

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"` + revision +
	`","capabilities":{},"clientInfo":{"name":"benchbridge","version":"1"}}}`

// open begins a session on a connection of its own.
func (in *instance) open(ctx context.Context) (*session, error) {
	s := &session{url: fmt.Sprintf("http://%s/mcp", in.addr), http: &http.Client{Transport: &http.Transport{}}}
	resp, err := s.post(ctx, hello)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if _, err := answer(resp); err != nil {
		return nil, err
	}
	if s.id = resp.Header.Get("Mcp-Session-Id"); s.id == "" {
		return nil, fmt.Errorf("%s gives no session", in.name)
	}
	begun, err := s.post(ctx, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, begun.Body)
	return s, errors.Join(err, begun.Body.Close())
}

// close disconnects.
func (s *session) close() { s.http.CloseIdleConnections() }

func (s *session) post(ctx context.Context, body string) (*http.Response, error) {
	return s.send(ctx, http.MethodPost, body, "")
}

// send sends a request; a GET may name the last event that was received.
func (s *session) send(ctx context.Context, method, body, lastEvent string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if lastEvent != "" {
		r.Header.Set("Last-Event-Id", lastEvent)
	}
	if s.id != "" {
		r.Header.Set("Mcp-Session-Id", s.id)
		r.Header.Set("Mcp-Protocol-Version", revision)
	}
	return s.http.Do(r)
}

// ask sends a request and returns the bytes of its answer.
func (s *session) ask(ctx context.Context, body string) ([]byte, error) {
	resp, err := s.post(ctx, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return answer(resp)
}

// call returns a request for a tool.
func call(id, tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
}

// maxAnswer bounds an answer; the longest that is asked for has 12 MB.
const maxAnswer = 64 << 20

// answer reads the message that answers a request: as JSON, or as the first
// event with data that is a response.
func answer(resp *http.Response) ([]byte, error) {
	body := io.LimitReader(resp.Body, maxAnswer)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		text, err := io.ReadAll(body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, text)
		}
		return text, err
	}
	for lines := bufio.NewReader(body); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if ok && (bytes.Contains(data, []byte(`"result"`)) || bytes.Contains(data, []byte(`"error"`))) {
			return bytes.TrimSuffix(data, []byte("\n")), nil
		}
	}
}
