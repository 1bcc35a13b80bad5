package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// direct calls servers without any gateway, and returns how many calls a
// second they answered: more than any gateway can carry.
func direct(ctx context.Context, server string, ld load, duration time.Duration) (float64, error) {
	rates, errs := make([]float64, ld.sessions), make([]error, ld.sessions)
	var talks sync.WaitGroup
	for i := range ld.sessions {
		talks.Go(func() { rates[i], errs[i] = talk(ctx, server, ld.lines/ld.sessions, duration) })
	}
	talks.Wait()
	total := 0.0
	for _, rate := range rates {
		total += rate
	}
	return total, errors.Join(errs...)
}

// talk has so many calls in flight at one server, and returns how many of them
// it answers in a second.
func talk(ctx context.Context, server string, atOnce int, duration time.Duration) (rate float64, err error) {
	cmd := exec.CommandContext(ctx, server)
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, in.Close(), cmd.Wait()) }()
	lines := bufio.NewReaderSize(out, 64<<10)
	if _, err := io.WriteString(in, hello+"\n"+`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"); err != nil {
		return 0, err
	}
	if _, err := lines.ReadSlice('\n'); err != nil {
		return 0, err
	}
	calls := 0
	var batch []byte
	began := time.Now()
	end := began.Add(duration)
	for send, open := atOnce, 0; send+open > 0; {
		batch = batch[:0]
		for range send {
			calls++
			batch = fmt.Appendf(batch, "%s\n", call(strconv.Itoa(calls), "echo", `{"message":"hello"}`))
		}
		if _, err := in.Write(batch); err != nil {
			return 0, err
		}
		open, send = open+send, 0
		for more := true; more; more = lines.Buffered() > 0 {
			if _, err := lines.ReadSlice('\n'); err != nil {
				return 0, err
			}
			open--
			if time.Now().Before(end) {
				send++
			}
		}
	}
	return float64(calls) / time.Since(began).Seconds(), nil
}
