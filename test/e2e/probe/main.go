// The Go runtime keeps the cgroup's CPU files open to follow their limits; the
// probe is to hold no descriptor but those it was given.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command probe is a server that tells as whom, where and with what it was
// started: what the tests check after the runner has become it.
//
//	probe           serves /facts and /health until SIGTERM, then exits with 43
//	probe exit N    exits with N
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/drengskapur/fastmcp-runner/test/e2e/facts"
)

// termStatus is the exit status after SIGTERM: one that neither the runner nor
// an engine uses.
const termStatus = 43

func main() {
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		status = 1
	}
	os.Exit(status) //nolint:forbidigo // this main ends its own process
}

// run does what the arguments say and returns the exit status.
func run() (int, error) {
	f, err := facts.Read()
	if err != nil {
		return 0, err
	}
	if len(f.Args) == 3 && f.Args[1] == "exit" {
		return strconv.Atoi(f.Args[2])
	}
	return termStatus, serve(f)
}

// serve tells f until SIGTERM.
func serve(f facts.Facts) error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /facts", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(body) // a client that went away is its own affair
	})
	srv := &http.Server{
		Addr:              net.JoinHostPort(value(f, "HOST"), value(f, "PORT")),
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe() }()
	select {
	case err := <-served:
		return err
	case <-term:
		return srv.Close()
	}
}

// value returns the value of a variable that the process was started with.
func value(f facts.Facts, name string) string {
	for _, variable := range f.Environ {
		if v, ok := strings.CutPrefix(variable, name+"="); ok {
			return v
		}
	}
	return ""
}
