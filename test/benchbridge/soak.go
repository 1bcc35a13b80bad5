package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// soakWarmTime is how long the load runs before what is held is noted.
	soakWarmTime = 20 * time.Second
	// soakPause is the time between two looks.
	soakPause = 15 * time.Second
	// soakIdle is after how long a session ends that its client has left.
	soakIdle = 3 * time.Second
	// restTime is how long a gateway rests before what it holds counts. Go's
	// collector runs every two minutes when nothing else makes it run, and
	// gives memory back after that.
	restTime = 150 * time.Second
	// soakSlack is by how much the memory of a process may differ that holds
	// the same: what its collector leaves and what it reads of its program.
	soakSlack = 8 << 10 // KiB
)

// soak loads our own gateway with clients of all kinds, of which many go
// without a word, and fails unless it ends by holding what it held before.
func (l *lab) soak(ctx context.Context, duration time.Duration, out io.Writer) (err error) {
	own := l.gateways[0]
	own.environ = []string{"RUNNER_METRICS=on", "RUNNER_MAX_SESSIONS=64", "RUNNER_IDLE_TIMEOUT=" + soakIdle.String()}
	in, err := l.start(ctx, own, l.plain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.kill()) }()
	load := &soakLoad{in: in}
	tell := func(when string, h holding) error {
		_, err := fmt.Fprintf(out, "%s: %s; %s\n", when, h, load)
		return err
	}
	load.run(ctx, soakWarmTime, nil)
	before, err := l.rest(ctx, in)
	if err != nil {
		return err
	}
	if err := tell("before", before); err != nil {
		return err
	}
	began := time.Now()
	load.run(ctx, duration, func() error {
		h, err := l.look(ctx, in)
		return errors.Join(err, tell(time.Since(began).Round(time.Second).String(), h))
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	after, err := l.rest(ctx, in)
	if err != nil {
		return err
	}
	return errors.Join(tell("after", after), load.failed(), after.exceeds(before))
}

// holding is what a gateway holds.
type holding struct {
	sessions, goroutines, descriptors, processes int
	memory                                       memory
}

func (h holding) String() string {
	return fmt.Sprintf("%d sessions, %d goroutines, %d descriptors, %d processes, %s",
		h.sessions, h.goroutines, h.descriptors, h.processes, h.memory)
}

func (h holding) exceeds(before holding) error {
	if h.sessions > before.sessions || h.goroutines > before.goroutines || h.descriptors > before.descriptors ||
		h.processes > before.processes || h.memory > before.memory+soakSlack {
		return fmt.Errorf("it holds more than before: %s, and before: %s", h, before)
	}
	return nil
}

// rest returns what the gateway holds when nobody has used it for a while.
func (l *lab) rest(ctx context.Context, in *instance) (holding, error) {
	http.DefaultClient.CloseIdleConnections()
	select {
	case <-time.After(restTime):
	case <-ctx.Done():
		return holding{}, ctx.Err()
	}
	return l.look(ctx, in)
}

// look asks the gateway's metrics and the kernel.
func (l *lab) look(ctx context.Context, in *instance) (h holding, err error) {
	own, servers, err := l.split(in)
	if err != nil {
		return h, err
	}
	h.processes = len(own) + len(servers)
	if h.memory, err = pss(own); err != nil {
		return h, err
	}
	metrics, err := in.metrics(ctx)
	if err != nil {
		return h, err
	}
	for name, value := range map[string]*int{
		"go_goroutines": &h.goroutines, "process_open_fds": &h.descriptors, "fastmcp_runner_sessions": &h.sessions,
	} {
		_, rest, found := strings.Cut(metrics, "\n"+name+" ")
		if _, err := fmt.Sscan(rest, value); !found || err != nil {
			return h, fmt.Errorf("the metrics do not say %s: %w", name, err)
		}
	}
	return h, nil
}

func (in *instance) metrics(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/metrics", in.addr), nil)
	if err != nil {
		return "", err
	}
	// Without a connection that stays.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// soakLoad is the clients of a soak, and how they fared.
type soakLoad struct {
	in *instance

	mu       sync.Mutex
	visits   map[string]int
	failures []string
}

func (sl *soakLoad) String() string {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	var text strings.Builder
	for _, v := range visitors() {
		fmt.Fprintf(&text, "%d %s, ", sl.visits[v.name], v.name)
	}
	return text.String() + fmt.Sprintf("%d failures", len(sl.failures))
}

// failed returns an error if clients have failed.
func (sl *soakLoad) failed() error {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if len(sl.failures) == 0 {
		return nil
	}
	return fmt.Errorf("%d failures, the first: %s", len(sl.failures), strings.Join(sl.failures[:min(len(sl.failures), 5)], "; "))
}

// run lets all clients come again and again for a time.
func (sl *soakLoad) run(ctx context.Context, duration time.Duration, look func() error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var clients sync.WaitGroup
	for _, v := range visitors() {
		for range v.atOnce {
			clients.Go(func() {
				for ctx.Err() == nil {
					// A visit that has begun is brought to its end.
					sl.note(v.name, v.visit(context.WithoutCancel(ctx), sl.in))
				}
			})
		}
	}
	for look != nil && ctx.Err() == nil {
		select {
		case <-time.After(soakPause):
			if err := look(); err != nil {
				sl.note("looks", err)
			}
		case <-ctx.Done():
		}
	}
	clients.Wait()
}

func (sl *soakLoad) note(name string, err error) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.visits == nil {
		sl.visits = map[string]int{}
	}
	sl.visits[name]++
	if err != nil {
		sl.failures = append(sl.failures, fmt.Sprintf("%s: %v", name, err))
	}
}
