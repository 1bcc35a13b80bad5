package child_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is the tests' child as well: with arguments that begin by "serve"
// this binary is the server that they describe.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		os.Exit(serve(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func serve(what string, args []string) int {
	switch what {
	case "echo": // answers every line by itself
		in := bufio.NewReader(os.Stdin)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return 0
			}
			say(strings.TrimSuffix(line, "\n"))
		}
	case "say": // writes its arguments, with \n for a line break, and ends
		for _, text := range args {
			write(strings.ReplaceAll(text, `\n`, "\n"))
		}
		return 0
	case "fail": // complains and ends with a code
		fmt.Fprintln(os.Stderr, "loading\ncannot connect with hunter22")
		code, err := strconv.Atoi(args[0])
		if err != nil {
			panic(err)
		}
		return code
	case "flood": // complains a lot
		for i := range 10_000 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		return 0
	case "long": // writes one line of many bytes
		n, err := strconv.Atoi(args[0])
		if err != nil {
			panic(err)
		}
		say(`{"jsonrpc":"2.0","id":7,"result":"` + strings.Repeat("x", n) + `"}`)
		say(`{"jsonrpc":"2.0","method":"after"}`)
		return 0
	case "ramble": // writes without an end of the line until it is killed
		for part := strings.Repeat("x", 1<<20); ; {
			write(part)
		}
	case "odd": // ends by a signal of its own choice only
		signal.Ignore(syscall.SIGTERM)
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGUSR1)
		say(`{"jsonrpc":"2.0","method":"ready"}`)
		<-asked
		return 5
	case "deaf": // ignores the end of its input, and a request to end
		signal.Ignore(syscall.SIGTERM)
		say(`{"jsonrpc":"2.0","method":"ready"}`)
		stay()
	case "busy": // ignores the end of its input only
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		say(`{"jsonrpc":"2.0","method":"ready"}`)
		<-terminated
		return 3
	case "parent": // starts a grandchild of its group, tells its pid, and does as told
		return serveParent(args)
	case "grandchild":
		signal.Ignore(syscall.SIGTERM)
		stay()
	case "brief": // a grandchild that ends when its parent has
		for strconv.Itoa(os.Getppid()) == args[0] {
			time.Sleep(time.Millisecond)
		}
		return 0
	case "runner": // a runner with a child, killed before it can clean up
		return serveRunner()
	case "init": // an init process with orphans
		return serveInit()
	}
	panic("unknown server " + what)
}

func say(line any) { write(fmt.Sprintln(line)) }

func write(text string) {
	if _, err := os.Stdout.WriteString(text); err != nil {
		panic(err)
	}
}

// stay never returns; a select without cases would be a deadlock to the runtime.
func stay() {
	for {
		time.Sleep(time.Hour)
	}
}

func serveParent(args []string) int {
	cmd := exec.Command("/proc/self/exe", "serve", args[0], strconv.Itoa(os.Getpid()))
	cmd.Stdout = os.Stdout
	if len(args) > 2 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"%d"}`, cmd.Process.Pid))
	if args[1] == "stay" {
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err == nil {
			panic("nobody was to write here")
		}
	}
	return 0
}
