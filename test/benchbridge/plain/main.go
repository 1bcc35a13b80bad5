// Command plain is a stdio MCP server without an SDK. It needs so little of
// the machine that what is measured is the gateway in front of it, and it keeps
// the bytes that it gets, to show what a gateway changes.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// crashCode is the exit code of a server that is told to crash.
const crashCode = 7

func main() {
	if len(os.Args) > 1 && os.Args[1] == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	}
	code := serve(os.Stdin, os.Stdout)
	for len(os.Args) > 1 && os.Args[1] == "stubborn" {
		time.Sleep(time.Hour)
	}
	os.Exit(code) //nolint:forbidigo // this main ends its own process
}

// request is what is read of one.
type request struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	Result json.RawMessage // of an answer to a request of ours
}

// tool is the params of tools/call.
type tool struct {
	Name      string
	Arguments json.RawMessage
}

// serve answers requests until their end, or until one that tells it to crash.
func serve(in io.Reader, out io.Writer) int {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return 0
		}
		var r request
		if err == nil {
			err = json.Unmarshal(line, &r)
		}
		if err == nil && r.ID != nil {
			err = answer(out, &r)
		}
		if errors.Is(err, errCrash) {
			return crashCode
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "plain:", err)
			return 1
		}
	}
}

func answer(out io.Writer, r *request) error {
	switch r.Method {
	case "":
		return passOn(out, r)
	case "initialize":
		return reply(out, r, `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"plain","version":"1"}}`)
	case "tools/call":
		return call(out, r)
	}
	return reply(out, r, string(r.Params)) // a method of nobody's: what came goes back
}

func reply(out io.Writer, r *request, result string) error {
	_, err := io.WriteString(out, `{"jsonrpc":"2.0","id":`+string(r.ID)+`,"result":`+result+"}\n")
	return err
}

// errCrash says that the server is to end.
var errCrash = errors.New("crashing as told")

func call(out io.Writer, r *request) error {
	var t tool
	if err := json.Unmarshal(r.Params, &t); err != nil {
		return err
	}
	switch t.Name {
	case "reflect": // answers with its arguments as they came
		return reply(out, r, `{"content":[],"structuredContent":`+string(t.Arguments)+`}`)
	case "noise": // forgets that standard output is for messages
		if _, err := io.WriteString(out, "Ready.\n{\"level\":\"info\"}\n\n\xff\xfe\n"); err != nil {
			return err
		}
	case "silence": // does not answer
		return nil
	case "ask": // asks back, and answers with what it is told
		_, err := fmt.Fprintf(out, `{"jsonrpc":"2.0","id":"%s%s","method":"elicitation/create","params":{"message":"who?"}}`+"\n", asked, r.ID)
		return err
	case "talk": // says something meanwhile, a little at a time
		return talk(out, r, t.Arguments)
	case "crash": // leaves a process behind
		if err := exec.Command("sleep", "1000").Start(); err != nil { //nolint:noctx // it is meant to outlive us
			return err
		}
		fmt.Fprintln(os.Stderr, errCrash)
		return errCrash
	}
	return echo(out, r, t.Arguments)
}

// asked begins the ids of our requests; the id of the call because of which we
// ask follows.
const asked = "asked by "

// passOn answers a call with the answer to what was asked because of it.
func passOn(out io.Writer, r *request) error {
	var id string
	if err := json.Unmarshal(r.ID, &id); err != nil {
		return err
	}
	r.ID = json.RawMessage(strings.TrimPrefix(id, asked))
	return reply(out, r, `{"content":[],"structuredContent":`+string(r.Result)+`}`)
}

// said is what a tool is told to say.
type said struct {
	Message string
	Times   int
}

// talkPause is the time between two messages of a server that talks.
const talkPause = 5 * time.Millisecond

// talk says what it is told in so many log messages, and then answers.
func talk(out io.Writer, r *request, arguments json.RawMessage) error {
	var said said
	if err := json.Unmarshal(arguments, &said); err != nil {
		return err
	}
	for i := range said.Times {
		time.Sleep(talkPause)
		if _, err := fmt.Fprintf(out, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%s %d"}}`+"\n", said.Message, i); err != nil {
			return err
		}
	}
	return reply(out, r, `{"content":[]}`)
}

// echo says what it is told, so many times, in its answer.
func echo(out io.Writer, r *request, arguments json.RawMessage) error {
	said := said{Times: 1}
	if err := json.Unmarshal(arguments, &said); err != nil {
		return err
	}
	text, err := json.Marshal("Echo: " + strings.Repeat(said.Message, said.Times))
	if err != nil {
		return err
	}
	return reply(out, r, `{"content":[{"type":"text","text":`+string(text)+`}]}`)
}
