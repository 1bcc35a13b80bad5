package bridge_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is the tests' server as well: with the arguments "serve" and a name
// this binary is the server of that name.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		os.Exit(serve(os.Args[2]))
	}
	os.Exit(m.Run())
}

func serve(what string) int {
	switch what {
	case "puppet", "modern", "mirroring":
		return servePuppet()
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		if code := servePuppet(); code != 0 {
			return code
		}
		for { // a select without cases would be a deadlock to the runtime
			time.Sleep(time.Hour)
		}
	case "echo": // answers all as it answers initialize, and is quick
		return serveEcho()
	case "fail":
		fmt.Fprintln(os.Stderr, "cannot find the database")
		return 1
	case "busy": // takes CPU to start
		limit, err := strconv.Atoi(os.Args[4])
		must(err)
		return serveBusy(os.Args[3], limit)
	case "mute":
		fmt.Fprintln(os.Stderr, "waiting for the database")
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			panic(err)
		}
		return 0
	case "sdk":
		return serveSDK()
	}
	panic("unknown server " + what)
}

// servePuppet is a server that does what its requests say:
//
//	echo  answers with the parameters
//	pid   answers with its process id
//	say   writes the lines in the parameters, with $ID and $TOKEN for those of
//	      the request, and does not answer; so do tools/call
//	      and prompts/list; at the line $AWAIT PATH it waits for a file; $HELLO
//	      stands for what it was told by initialize, and $NOTE for the note in
//	      the parameters of the last request before this one that had one
//	heard answers with how many responses it has got
//	ramble writes as many bytes as the parameters say, without a line break,
//	      which the notification "breathe" gives
//	die   ends with an exit code
func servePuppet() int {
	in := bufio.NewReader(os.Stdin)
	var own memory
	for heard := 0; ; {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return 0
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if err := json.Unmarshal(line, &m); err != nil {
			panic(fmt.Sprintf("%q: %v", line, err))
		}
		switch m.Method {
		case "initialize":
			own.hello = m.Params
			introduce(m.ID, m.Params)
		case "tools/list":
			if os.Args[2] == "mirroring" {
				m.Params = json.RawMessage(strings.NewReplacer("\n", "", "\t", "").Replace(mirroringTools))
			}
			answer(m.ID, string(m.Params))
		case "echo":
			answer(m.ID, string(m.Params))
		case "pid":
			answer(m.ID, fmt.Sprintf(`{"pid":%d}`, os.Getpid()))
		case "say", "tools/call", "prompts/list":
			own.obey(m.ID, m.Params)
		case "server/discover":
			discover(m.ID)
		case "resources/subscribe", "resources/unsubscribe", "notifications/cancelled":
			fmt.Fprintln(os.Stderr, "heard", string(line))
		case "missing":
			write(`{"jsonrpc":"2.0","id":` + string(m.ID) + `,"error":{"code":-32601,"message":"no such method"}}`)
		case "resources/read":
			write(`{"jsonrpc":"2.0","id":` + string(m.ID) + `,"error":{"code":-32002,"message":"no such resource"}}`)
		case "heard":
			answer(m.ID, fmt.Sprintf(`{"heard":%d}`, heard))
		case "ramble":
			var n struct{ Bytes int }
			must(json.Unmarshal(m.Params, &n))
			unended(strings.Repeat("x", n.Bytes))
		case "breathe":
			unended("\n")
		case "die":
			fmt.Fprintln(os.Stderr, "dying as told")
			return 7
		case "":
			heard++
			fmt.Fprintln(os.Stderr, "got", string(line))
		}
	}
}

func introduce(id, params json.RawMessage) {
	var p struct {
		ProtocolVersion string
		ClientInfo      struct{ Name string }
	}
	if err := json.Unmarshal(params, &p); err != nil {
		panic(err)
	}
	if p.ClientInfo.Name == "unwelcome" {
		write(`{"jsonrpc":"2.0","id":` + string(id) + `,"error":{"code":-32000,"message":"go away"}}`)
		return
	}
	answer(id, `{"protocolVersion":"`+p.ProtocolVersion+`","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"puppet","version":"1"}}`)
}

func answer(id json.RawMessage, result string) {
	write(`{"jsonrpc":"2.0","id":` + string(id) + `,"result":` + result + `}`)
}

// memory is what a puppet keeps of its client.
type memory struct {
	hello json.RawMessage
	note  string
}

func (own *memory) obey(id, params json.RawMessage) {
	var p struct {
		Meta struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
		Lines  []string
		Repeat int
		Note   string
	}
	if err := json.Unmarshal(params, &p); err != nil {
		panic(err)
	}
	replacer := strings.NewReplacer("$ID", string(id), "$TOKEN", string(p.Meta.Token), "$HELLO", string(own.hello), "$NOTE", own.note)
	if p.Note != "" {
		own.note = p.Note
	}
	for range max(1, p.Repeat) {
		for _, line := range p.Lines {
			if path, ok := strings.CutPrefix(line, "$AWAIT "); ok {
				await(path)
				continue
			}
			write(replacer.Replace(line))
		}
	}
}

func await(path string) {
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// discover answers as the era of the server demands.
func discover(id json.RawMessage) {
	if os.Args[2] == "modern" {
		answer(id, `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}`)
		return
	}
	write(`{"jsonrpc":"2.0","id":` + string(id) + `,"error":{"code":-32601,"message":"no such method"}}`)
}

func write(line string) {
	_, err := io.Copy(os.Stdout, strings.NewReader(line+"\n"))
	must(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// serveEcho takes nothing of the machine: it answers without reading.
func serveEcho() int {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0
		}
		_, id, _ := strings.Cut(string(line), `"id":`)
		id, _, _ = strings.Cut(id, ",")
		write(`{"jsonrpc":"2.0","id":` + id + `,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}`)
	}
}

// startCost is how much CPU a busy server takes to start.
const startCost = 100 * time.Millisecond

// serveBusy is a server that is in a directory while it starts, and ends if more
// are there than there may be.
func serveBusy(dir string, limit int) int {
	mark := fmt.Sprintf("%s/%d", dir, os.Getpid())
	must(os.WriteFile(mark, nil, 0o600))
	starting, err := os.ReadDir(dir)
	must(err)
	if len(starting) > limit {
		fmt.Fprintln(os.Stderr, len(starting), "servers start at once")
		return 1
	}
	for used := time.Duration(0); used < startCost; {
		var usage syscall.Rusage
		must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
		used = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	must(os.Remove(mark))
	return serveEcho()
}

// unended writes to standard output what is no whole line.
func unended(text string) {
	_, err := os.Stdout.WriteString(text)
	must(err)
}
