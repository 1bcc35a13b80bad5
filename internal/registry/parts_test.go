package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

// large is the layer of the tests here. It repeats at no power of two.
var large = sync.OnceValue(func() string { return strings.Repeat("0123456789abcdefghijklmnopqrstuvwxy", 12<<20/35) })

// small are ranges that suit it.
var small = registry.Ranges{Starving: 200 * time.Millisecond, LeastBytes: 4 << 20, PartBytes: 1 << 20, MemoryBytes: 2 << 20}

// rates say how fast a registry answers.
type rates struct {
	first time.Duration // Until an answer begins.
	each  int64         // Bytes a second of each answer; 0: any.
	all   int64         // The same of all together.
}

// slowRate brings the layer in five seconds.
const slowRate = 2_500_000

var slow = rates{first: 20 * time.Millisecond, each: slowRate}

// throttle is a network of such rates.
type throttle struct {
	rates

	mu        sync.Mutex
	asked     []string // The ranges that were asked for.
	now, most int      // Answers to ranges that are under way.
	free      time.Time
}

// begin notes a request, and returns which it is, from 1.
func (n *throttle) begin(r *http.Request) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, r.Header.Get("Range"))
	if isPart(r) {
		n.now++
		n.most = max(n.most, n.now)
	}
	return len(n.asked)
}

// underWay is how many answers to ranges are.
func (n *throttle) underWay() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *throttle) done(r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if isPart(r) {
		n.now--
	}
}

// isPart reports whether a request asks for a range with an end.
func isPart(r *http.Request) bool {
	asked := r.Header.Get("Range")
	return asked != "" && !strings.HasSuffix(asked, "-")
}

// send sends at the rates.
func (n *throttle) send(w http.ResponseWriter, r *http.Request, content []byte) {
	const step = 64 << 10
	due := time.Now().Add(n.first)
	for len(content) > 0 {
		piece := content[:min(step, len(content))]
		content = content[len(piece):]
		due = due.Add(timeFor(len(piece), n.each))
		select {
		case <-time.After(time.Until(n.turn(len(piece), due))):
		case <-r.Context().Done():
			return
		}
		_, _ = w.Write(piece)
	}
}

// turn returns when some bytes that are due at a time get through what all
// answers share.
func (n *throttle) turn(bytes int, due time.Time) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.free.Before(now) {
		n.free = now
	}
	n.free = n.free.Add(timeFor(bytes, n.all))
	if n.free.After(due) {
		return n.free
	}
	return due
}

// timeFor returns how long some bytes take at a rate.
func timeFor(bytes int, rate int64) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(bytes) * time.Second / time.Duration(rate)
}

// reunited reports whether the rest was asked for by one range.
func (n *throttle) reunited() bool {
	return slices.ContainsFunc(n.asked, func(asked string) bool { return strings.HasSuffix(asked, "-") })
}

// answer answers the nth request, from 1, for the layer; false: as it should be.
type answer func(w http.ResponseWriter, r *http.Request, nth int) bool

// serveLarge serves the large layer through a throttle.
func serveLarge(t *testing.T, n *throttle, opts registry.Options, answer answer) image.Layer {
	t.Helper()
	net, f := newNetwork(), newFake()
	f.keep(t, "latest", newImage(t, amd64, large()))
	net.serve(t, "localhost:80", f)
	net.serve(t, "localhost:81", f)
	img := mustResolve(t, newClient(t, net, opts), "localhost/acme/mcp")
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		nth := n.begin(r)
		defer n.done(r)
		if answer == nil || !answer(w, r, nth) {
			n.send(w, r, answerRange(w, r, []byte(large())))
		}
		return true
	}
	return img.Layers[0]
}

// checkLarge reads the layer, and returns how long that took.
func checkLarge(t *testing.T, l image.Layer) time.Duration {
	t.Helper()
	begin := time.Now()
	if got, err := readLayer(t, l); err != nil || got != large() {
		t.Errorf("read %d bytes, %v; want the %d of the layer", len(got), err, len(large()))
	}
	return time.Since(begin)
}

func TestSeveralConnections(t *testing.T) {
	t.Parallel()
	none := small
	none.Connections = 1
	three := small
	three.Connections = 3
	tests := []struct {
		name   string
		rates  rates
		ranges registry.Ranges
		answer answer
		// least and most are how often faster it is than each answer by itself.
		least, most float64
		connections int  // Ranges at once.
		reunited    bool // The rest comes by one.
	}{
		{
			name: "answers that are slow each come by four at once", rates: slow, ranges: small,
			least: 2.5, most: 4, connections: 4,
		},
		{name: "as many as are allowed", rates: slow, ranges: three, least: 2, most: 3, connections: 3},
		{name: "one if no more are allowed", rates: slow, ranges: none, least: 0.98, most: 1},
		{
			name: "a line that is slow as a whole is left to one", rates: rates{each: slowRate, all: slowRate}, ranges: small,
			least: 0.9, most: 1, connections: 4, reunited: true,
		},
		{name: "a fast line is left to one", rates: rates{each: 100_000_000}, ranges: small, least: 0.9, most: 1},
		{name: "a layer of which little is left is left to one", rates: slow, ranges: registry.Ranges{Starving: small.Starving}, least: 0.9, most: 1},
		{
			name: "a registry that ignores ranges is asked once", rates: slow, ranges: small, answer: ignoreRange,
			least: 0.95, most: 1, connections: 1,
		},
		{
			name: "so is one that refuses them", rates: slow, ranges: small, answer: refuseParts(http.StatusRequestedRangeNotSatisfiable),
			least: 0.95, most: 1, connections: 1,
		},
		{
			name: "so is one that is asked too much", rates: slow, ranges: small, answer: refuseParts(http.StatusTooManyRequests),
			least: 0.95, most: 1, connections: 1,
		},
		{
			name: "so is one that answers with another range", rates: slow, ranges: small, answer: answerOtherRange,
			least: 0.95, most: 1, connections: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &throttle{rates: tt.rates}
				took := checkLarge(t, serveLarge(t, n, registry.Options{Ranges: tt.ranges}, tt.answer))
				alone := timeFor(len(large()), tt.rates.each)
				if ratio := alone.Seconds() / took.Seconds(); ratio < tt.least || ratio > tt.most {
					t.Errorf("it took %s, %.2f times as fast as one answer, want %v to %v times", took, ratio, tt.least, tt.most)
				}
				if n.most != tt.connections || n.reunited() != tt.reunited {
					t.Errorf("asked for %q, %d at once, want %d at once, and the rest at the end: %v", n.asked, n.most, tt.connections, tt.reunited)
				}
			})
		})
	}
}

// ignoreRange answers with the whole layer.
func ignoreRange(_ http.ResponseWriter, r *http.Request, _ int) bool {
	r.Header.Del("Range")
	return false
}

func refuseParts(status int) answer {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if isPart(r) {
			w.WriteHeader(status)
		}
		return isPart(r)
	}
}

// answerOtherRange answers with the first byte, whatever part is asked for.
func answerOtherRange(w http.ResponseWriter, r *http.Request, _ int) bool {
	if !isPart(r) {
		return false
	}
	w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-0/%d", len(large())))
	w.WriteHeader(http.StatusPartialContent)
	_, _ = io.WriteString(w, large()[:1])
	return true
}

// once answers the nth request for a part, from 1, by fault.
func once(n int, fault http.HandlerFunc) answer {
	var parts atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		// The first asks whether ranges work.
		if !isPart(r) || parts.Add(1) != int64(n)+1 {
			return false
		}
		fault(w, r)
		return true
	}
}

func TestFaultsOfParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		fault    http.HandlerFunc
		reunited bool // The rest comes by one.
		resumed  bool // The rest of a part is asked for.
		err      string
	}{
		{
			name: "trap 46: a part that breaks is resumed at the byte", resumed: true,
			fault: func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(answerRange(w, r, []byte(large()))[:cut])
				abort(w)
			},
		},
		{
			name: "trap 46: a part that stalls is resumed at the byte", resumed: true,
			fault: func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(answerRange(w, r, []byte(large()))[:cut])
				stall(w, r)
			},
		},
		{
			name: "trap 45: a part that is refused for a while is asked for again", resumed: true,
			fault: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusServiceUnavailable)
			},
		},
		{
			name: "trap 46: a range that is ignored leads back to one connection", reunited: true,
			fault: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, large()) },
		},
		{
			name: "trap 46: so does a wrong Content-Range", reunited: true,
			fault: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(large())-1, len(large())))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, large())
			},
		},
		{
			name: "trap 46: so does 416", reunited: true,
			fault: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) },
		},
		{
			name: "a blob that is gone is not waited for", err: "no such blob",
			fault: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		},
		{
			name: "trap 29: one flipped bit is never the end of the stream", err: "does not match its digest",
			fault: func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(flipped(answerRange(w, r, []byte(large()))))
			},
		},
	}
	for _, tt := range tests {
		for _, n := range []int{1, 5, 8} {
			t.Run(fmt.Sprintf("%s, at part %d", tt.name, n), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					network := &throttle{rates: slow}
					layer := serveLarge(t, network, registry.Options{Ranges: small}, once(n, tt.fault))
					got, err := readLayer(t, layer)
					if tt.err != "" {
						wantError(t, err, tt.err, "")
						return
					}
					if err != nil || got != large() {
						t.Errorf("read %d bytes, %v; want the %d of the layer", len(got), err, len(large()))
					}
					// The first parts are a trial, which a fault can spoil.
					if n > 4 && network.reunited() != tt.reunited {
						t.Errorf("asked for %q, want the rest at the end: %v", network.asked, tt.reunited)
					}
					if resumed := len(ends(network.asked)) < len(network.asked); tt.resumed && !resumed {
						t.Errorf("asked for %q, want the rest of a part", network.asked)
					}
				})
			})
		}
	}
}

// ends returns the different ends of ranges.
func ends(ranges []string) map[string]bool {
	set := map[string]bool{}
	for _, r := range ranges {
		_, end, _ := strings.Cut(r, "-")
		set[end] = true
	}
	return set
}

func TestEndOfSeveralConnections(t *testing.T) {
	t.Parallel()
	t.Run("trap 46: a part that makes no progress ends the stream, which says how far it came", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n := &throttle{rates: slow}
			layer := serveLarge(t, n, registry.Options{Ranges: small}, func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if strings.HasSuffix(r.Header.Get("Range"), "-7864319") {
					w.WriteHeader(http.StatusBadGateway)
					return true
				}
				return false
			})
			_, err := readLayer(t, layer)
			wantError(t, err, "cannot fetch the blob: no answer of use (the registry says 502 Bad Gateway) (given up after 5 attempts in 2", "")
			wantError(t, err, "; 6815744 of 12582885 bytes had come", "")
		})
	})
	t.Run("trap 45: too many requests are answered by fewer connections", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n := &throttle{rates: slow}
			refused := false
			after := 0 // The most at once, once some were refused.
			var mu sync.Mutex
			layer := serveLarge(t, n, registry.Options{Ranges: small}, func(w http.ResponseWriter, r *http.Request, nth int) bool {
				mu.Lock()
				defer mu.Unlock()
				if nth == 8 {
					refused = true
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(http.StatusTooManyRequests)
					return true
				}
				if refused && nth > 11 {
					after = max(after, n.underWay())
				}
				return false
			})
			checkLarge(t, layer)
			if !refused || after != 2 {
				t.Errorf("after a refusal (%v) %d parts came at once, want 2; asked for %q", refused, after, n.asked)
			}
		})
	})
	t.Run("trap 47: parts come from where the registry redirects to, and from elsewhere when that has expired", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			redirects := 0
			n := &throttle{rates: slow}
			layer := serveLarge(t, n, registry.Options{Ranges: small}, func(w http.ResponseWriter, r *http.Request, nth int) bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				switch {
				case !isPart(r):
					return false
				case r.URL.RawQuery == "":
					redirects++
					http.Redirect(w, r, fmt.Sprintf("http://localhost:81%s?signed=%d", r.URL.Path, redirects), http.StatusTemporaryRedirect)
					return true
				case nth > 14 && r.URL.RawQuery == "signed=1":
					w.WriteHeader(http.StatusForbidden)
					return true
				}
				return false
			})
			checkLarge(t, layer)
			if redirects < 2 || redirects > 5 {
				t.Errorf("the registry redirected %d times, want once, and once for each part under way when that expired", redirects)
			}
		})
	})
	t.Run("closing in the midst leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		for bytes := 0; bytes < len(large()); bytes += len(large()) / 6 {
			synctest.Test(t, func(t *testing.T) {
				n := &throttle{rates: slow}
				r, err := image.Open(t.Context(), serveLarge(t, n, registry.Options{Ranges: small}, nil))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(io.Discard, r, int64(bytes)); err != nil {
					t.Error(err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if now := n.underWay(); now != 0 {
					t.Errorf("%d answers are under way after Close", now)
				}
			})
		}
	})
	t.Run("trap 58: a cancelled context ends a read at once, with its cause", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			stalled := make(chan struct{})
			layer := serveLarge(t, &throttle{rates: slow}, registry.Options{Ranges: small}, once(6, func(w http.ResponseWriter, r *http.Request) {
				close(stalled)
				stall(w, r)
			}))
			cause := errors.New("terminated")
			ctx, cancel := context.WithCancelCause(t.Context())
			r, err := image.Open(ctx, layer)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			go func() {
				<-stalled
				time.Sleep(5 * time.Second)
				cancel(cause)
			}()
			if _, err = io.Copy(io.Discard, r); !errors.Is(err, cause) {
				t.Errorf("Read = %v, want %v", err, cause)
			}
		})
	})
}

func TestPartsOfHTTP2Registry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		net, f := newNetwork(), newFake()
		f.keep(t, "latest", newImage(t, amd64, large()))
		net.serveTLS(t, "ghcr.io:443", f, "h2", "http/1.1")
		layer := mustResolve(t, newClient(t, net, registry.Options{Ranges: small}), "ghcr.io/acme/mcp").Layers[0]
		n := &throttle{rates: slow}
		var proto sync.Map
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			n.begin(r)
			defer n.done(r)
			proto.Store(fmt.Sprintf("part %t: %s", isPart(r), r.Proto), true)
			n.send(w, r, answerRange(w, r, []byte(large())))
			return true
		}
		before := len(net.dialled)
		checkLarge(t, layer)
		_, one := proto.Load("part false: HTTP/2.0")
		_, several := proto.Load("part true: HTTP/1.1")
		if dialled := len(net.dialled) - before; !one || !several || dialled != 4 {
			t.Errorf("the first answer came by HTTP/2: %t, the parts by HTTP/1.1: %t, over %d further connections, want 4", one, several, dialled)
		}
	})
}

func TestWhatLayersShare(t *testing.T) {
	t.Parallel()
	t.Run("what waits for its turn takes no more memory than it may", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			net, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, large()))
			net.serve(t, "localhost:80", f)
			n := &throttle{rates: slow}
			c := newClient(t, net, registry.Options{Ranges: small})
			layer := mustResolve(t, c, "localhost/acme/mcp").Layers[0]
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				n.send(w, r, answerRange(w, r, []byte(large())))
				return true
			}
			var most int64
			for range 3 {
				r, err := image.Open(t.Context(), layer)
				if err != nil {
					t.Fatal(err)
				}
				for left := int64(len(large())); left > 0; left -= 1 << 20 {
					if _, err := io.CopyN(io.Discard, r, min(left, 1<<20)); err != nil {
						t.Fatal(err)
					}
					if left > 8<<20 {
						continue // It starves.
					}
					time.Sleep(10 * time.Second)
					most = max(most, registry.Waiting(c))
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
			// What is being read may always have one more chunk.
			if limit := small.MemoryBytes + registry.ChunkBytes; most < limit/2 || most > limit {
				t.Errorf("up to %d bytes waited for their turn, want some, and at most %d", most, limit)
			}
			if left := registry.Waiting(c); left != 0 {
				t.Errorf("%d bytes are not given back", left)
			}
		})
	})
	t.Run("layers that starve together get no more connections than all may have", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ranges := small
			ranges.AllConnections = 9
			n := &throttle{rates: slow}
			layer := serveLarge(t, n, registry.Options{Ranges: ranges}, nil)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() { checkLarge(t, layer) })
			}
			all.Wait()
			if n.most != 8 {
				t.Errorf("%d parts came at once, want those of two layers, 8", n.most)
			}
		})
	})
}
