package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

// content is the layer of the tests here; the servers cut it at cut.
var content = strings.Repeat("0123456789abcdef", 1000)

const cut = 10_007

// abort sends what was written and cuts the connection.
func abort(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// cutAt answers with the blob from an offset on, and cuts the connection when
// the blob has come to byte end.
func cutAt(w http.ResponseWriter, offset, end int) {
	w.Header().Set("Content-Length", strconv.Itoa(len(content)-offset))
	_, _ = io.WriteString(w, content[offset:end])
	abort(w)
}

// stall answers nothing more until the client goes away.
func stall(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func TestResume(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// blob answers the nth request, from 1, for the blob; false: as it should be.
		blob func(w http.ResponseWriter, r *http.Request, n int) bool
		want []string // The ranges that were asked for.
	}{
		{
			"trap 46: a connection that breaks is resumed at the byte",
			func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n == 1 {
					cutAt(w, 0, cut)
				}
				return false
			},
			[]string{"", "bytes=10007-"},
		},
		{
			"trap 46: each break that made progress is forgiven",
			func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n > 20 {
					return false
				}
				offset, ranged := rangeOf(r)
				if ranged {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", offset, len(content)-1))
					w.Header().Set("Content-Length", strconv.Itoa(len(content)-offset))
					w.WriteHeader(http.StatusPartialContent)
				}
				cutAt(w, offset, offset+100)
				return true
			},
			ranges(20, 100),
		},
		{
			"trap 46: a server that ignores the range is read again from the start",
			func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n == 1 {
					cutAt(w, 0, cut)
				}
				_, _ = io.WriteString(w, content)
				return true
			},
			[]string{"", "bytes=10007-"},
		},
		{
			"trap 46: 416 is answered by a restart",
			func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n == 1 {
					cutAt(w, 0, cut)
				}
				if r.Header.Get("Range") != "" {
					refuse(w, http.StatusRequestedRangeNotSatisfiable, "RANGE_INVALID", "")
					return true
				}
				return false
			},
			[]string{"", "bytes=10007-", ""},
		},
		{
			"trap 46: a wrong Content-Range is answered by a restart",
			func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n == 1 {
					cutAt(w, 0, cut)
				}
				if r.Header.Get("Range") == "" {
					return false
				}
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 10000-%d/%d", len(content)-1, len(content)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, content[10000:])
				return true
			},
			[]string{"", "bytes=10007-", ""},
		},
		{
			"trap 46: a Content-Range of another size is answered by a restart",
			func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n == 1 {
					cutAt(w, 0, cut)
				}
				if r.Header.Get("Range") == "" {
					return false
				}
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 10007-%d/%d", len(content), len(content)+1))
				w.WriteHeader(http.StatusPartialContent)
				return true
			},
			[]string{"", "bytes=10007-", ""},
		},
		{
			"trap 46: a stall counts as a break",
			func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n == 1 {
					w.Header().Set("Content-Length", strconv.Itoa(len(content)))
					_, _ = io.WriteString(w, content[:cut])
					stall(w, r)
				}
				return n == 1
			},
			[]string{"", "bytes=10007-"},
		},
		{
			"trap 46: a server that answers nothing counts as a break",
			func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n == 1 {
					<-r.Context().Done()
				}
				return n == 1
			},
			[]string{"", ""},
		},
		{
			"trap 29: an early end without a length is no end",
			func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n == 1 {
					_, _ = io.WriteString(w, content[:cut])
					_ = http.NewResponseController(w).Flush()
				}
				return n == 1
			},
			[]string{"", "bytes=10007-"},
		},
		{
			"trap 45: a registry that is busy when resumed is asked again",
			func(w http.ResponseWriter, _ *http.Request, n int) bool {
				switch n {
				case 1:
					cutAt(w, 0, cut)
				case 2:
					refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "")
				}
				return n == 2
			},
			[]string{"", "bytes=10007-", "bytes=10007-"},
		},
		{
			"more bytes than the layer has are not handed out",
			func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				_ = http.NewResponseController(w).Flush() // So that it sends no length.
				_, _ = io.WriteString(w, content+"more")
				return true
			},
			[]string{""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				layer, asked := serveLayer(t, tt.blob)
				got, err := readLayer(t, layer)
				if err != nil || got != content {
					t.Errorf("read %d bytes, %v; want the %d of the layer", len(got), err, len(content))
				}
				if want := strings.Join(tt.want, "|"); strings.Join(*asked, "|") != want {
					t.Errorf("asked for %q, want %q", *asked, tt.want)
				}
			})
		})
	}
}

func TestResumeOverHTTP2(t *testing.T) {
	t.Parallel()
	t.Run("trap 46: a stream that is reset on a connection that goes away is resumed on another", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, content))
			n.serveTLS(t, "ghcr.io:443", f, "h2")
			img := mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
			var asked []string
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				asked = append(asked, fmt.Sprintf("%s %s", r.Proto, r.Header.Get("Range")))
				if len(asked) == 1 {
					w.Header().Set("Connection", "close") // Sends GOAWAY.
					cutAt(w, 0, cut)
				}
				return false
			}
			got, err := readLayer(t, img.Layers[0])
			if err != nil || got != content {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			if want := "HTTP/2.0 |HTTP/2.0 bytes=10007-"; strings.Join(asked, "|") != want {
				t.Errorf("asked for %q, want %q", asked, want)
			}
			if len(n.dialled) != 2 {
				t.Errorf("%d connections, want 2", len(n.dialled))
			}
		})
	})
}

func TestDeadHTTP2Connection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), newFake()
		f.keep(t, "latest", newImage(t, amd64, content))
		n.serveTLS(t, "ghcr.io:443", f, "h2")
		var first *freezable
		c := newClient(t, n, registry.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			inner, err := n.dial(ctx, network, address)
			if err != nil || first != nil {
				return inner, err
			}
			first = &freezable{Conn: inner, frozen: make(chan struct{}), closed: make(chan struct{})}
			return first, nil
		}})
		img := mustResolve(t, c, "ghcr.io/acme/mcp")
		close(first.frozen)
		start := time.Now()
		got, err := readLayer(t, img.Layers[0])
		if err != nil || got != content {
			t.Errorf("trap 46: over a connection that was dead came %d bytes, %v", len(got), err)
		}
		if took := time.Since(start); took > registry.DefaultStallTimeout {
			t.Errorf("trap 46: it took %s until there was another connection", took)
		}
	})
}

// freezable is a connection over which nothing comes any more once it is frozen,
// as when a router on the way has forgotten it.
type freezable struct {
	net.Conn

	frozen, closed chan struct{}
	once           sync.Once
}

func (c *freezable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.frozen:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *freezable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// ranges returns those of a reader that gets some bytes at a time.
func ranges(n, step int) []string {
	list := []string{""}
	for i := range n {
		list = append(list, fmt.Sprintf("bytes=%d-", (i+1)*step))
	}
	return list
}

// serveLayer serves one layer whose requests go to blob, and lists their ranges.
func serveLayer(t *testing.T, blob func(http.ResponseWriter, *http.Request, int) bool) (image.Layer, *[]string) {
	t.Helper()
	n, f := newNetwork(), newFake()
	f.keep(t, "latest", newImage(t, amd64, content))
	n.serveTLS(t, "ghcr.io:443", f)
	img := mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
	asked := &[]string{}
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		*asked = append(*asked, r.Header.Get("Range"))
		return blob(w, r, len(*asked))
	}
	return img.Layers[0], asked
}

func TestGivingUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		blob func(w http.ResponseWriter, r *http.Request, n int) bool
		want string
	}{
		{
			"trap 46: without progress it ends, and says when and where",
			func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n == 1 {
					cutAt(w, 0, cut)
				}
				abort(w)
				return true
			},
			"10007 of 16000 bytes had come",
		},
		{
			"a web page in place of the blob is no fault of the link",
			func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<html>blocked</html>")
				return true
			},
			"cannot fetch the blob: ghcr.io answers with a web page; 0 of 16000 bytes had come",
		},
		{
			"trap 46: a server that only stalls is given up after five times the patience",
			func(w http.ResponseWriter, r *http.Request, _ int) bool {
				stall(w, r)
				return true
			},
			"cannot fetch the blob: ghcr.io: no data for 30s (given up after 5 attempts in 2m",
		},
		{
			"trap 46: a server that ignores ranges and always breaks makes no progress",
			func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				cutAt(w, 0, cut)
				return true
			},
			"(given up after 5 attempts in ",
		},
		{
			"a blob that is gone is not waited for",
			func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "")
				return true
			},
			"cannot fetch the blob: no such blob (the registry says BLOB_UNKNOWN); 0 of 16000 bytes had come",
		},
		{
			"a blob of another length is refused before it is read",
			func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				_, _ = io.WriteString(w, "short")
				return true
			},
			"ghcr.io sends 5 bytes, where the manifest says 16000",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				layer, _ := serveLayer(t, tt.blob)
				_, err := readLayer(t, layer)
				wantError(t, err, tt.want, "")
			})
		})
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	t.Run("trap 29: one flipped bit is never the end of the stream", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			layer, _ := serveLayer(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				_, _ = w.Write(flipped([]byte(content)))
				return true
			})
			_, err := readLayer(t, layer)
			mismatch, ok := errors.AsType[*image.DigestError](err)
			if !ok {
				t.Fatalf("error %v, want a DigestError", err)
			}
			want := image.DigestError{Want: layer.Descriptor().Digest, Got: digestOf(t, flipped([]byte(content)))}
			if *mismatch != want {
				t.Errorf("error %v, want %v", mismatch, &want)
			}
		})
	})
	t.Run("trap 29: a resume that brings other bytes is found out", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			layer, _ := serveLayer(t, func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n == 1 {
					cutAt(w, 0, cut)
				}
				_, _ = io.WriteString(w, strings.Repeat("x", len(content)))
				return true
			})
			_, err := readLayer(t, layer)
			if _, ok := errors.AsType[*image.DigestError](err); !ok {
				t.Fatalf("error %v, want a DigestError", err)
			}
		})
	})
	t.Run("the error stays", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			layer, _ := serveLayer(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				_, _ = w.Write(flipped([]byte(content)))
				return true
			})
			r, err := image.Open(t.Context(), layer)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			_, first := io.Copy(io.Discard, r)
			n, second := r.Read(make([]byte, 1))
			if first == nil || n != 0 || !errors.Is(second, first) {
				t.Errorf("errors %v, then %d bytes and %v", first, n, second)
			}
		})
	})
	t.Run("sha512 is a digest too", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			img := newImage(t, amd64, "layer")
			img.manifest.Layers[0].Digest = v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("0", 128)}
			img.blobs[img.manifest.Layers[0].Digest] = []byte("layer")
			f.keep(t, "latest", img)
			n.serveTLS(t, "ghcr.io:443", f)
			_, err := readLayer(t, mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp").Layers[0])
			wantError(t, err, "expected sha512:000", "")
		})
	})
}

func TestOpenFromAByteOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		offset int
		want   []string // The ranges that were asked for.
	}{
		{"the whole", 0, []string{"", "bytes=10007-"}},
		{"from a byte on", 5000, []string{"bytes=5000-", "bytes=10007-"}},
		{"the last byte", len(content) - 1, []string{"bytes=15999-"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				layer, asked := serveLayer(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
					offset, ranged := rangeOf(r)
					if n > 1 || offset >= cut {
						return false
					}
					if ranged {
						w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", offset, len(content)-1))
						w.WriteHeader(http.StatusPartialContent)
					}
					cutAt(w, offset, cut)
					return true
				})
				r, err := layer.Open(t.Context(), int64(tt.offset))
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if got, err := io.ReadAll(r); string(got) != content[tt.offset:] || err != nil {
					t.Errorf("read %d bytes, %v, want %d", len(got), err, len(content)-tt.offset)
				}
				if diff := cmp.Diff(tt.want, *asked); diff != "" {
					t.Errorf("asked for (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestEndOfStream(t *testing.T) {
	t.Parallel()
	t.Run("closing in the midst leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			layer, _ := serveLayer(t, func(http.ResponseWriter, *http.Request, int) bool { return false })
			r, err := image.Open(t.Context(), layer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("Read after Close = %v, want an error", err)
			}
		})
	})
	t.Run("trap 58: a cancelled context ends a stalled read at once, with its cause", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			layer, _ := serveLayer(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				stall(w, r)
				return true
			})
			cause := errors.New("terminated")
			ctx, cancel := context.WithCancelCause(t.Context())
			r, err := image.Open(ctx, layer)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			time.AfterFunc(time.Second, func() { cancel(cause) })
			start := time.Now()
			_, err = r.Read(make([]byte, 1))
			if !errors.Is(err, cause) || time.Since(start) != time.Second {
				t.Errorf("Read = %v after %s, want %v after 1s", err, time.Since(start), cause)
			}
		})
	})
	t.Run("a slow reader is no stalled server", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			layer, asked := serveLayer(t, func(http.ResponseWriter, *http.Request, int) bool { return false })
			r, err := image.Open(t.Context(), layer)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			time.Sleep(time.Hour) // Fake time.
			if got, err := io.ReadAll(r); string(got) != content || err != nil || len(*asked) != 1 {
				t.Errorf("read %d bytes, %v, over %d connections", len(got), err, len(*asked))
			}
		})
	})
	t.Run("an empty layer ends at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, ""))
			n.serveTLS(t, "ghcr.io:443", f)
			got, err := readLayer(t, mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp").Layers[0])
			if got != "" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
		})
	})
}

func TestForeignLayers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, url, want string
		answer          int
	}{
		{"trap 31: a foreign layer comes from its URL", "https://user:pw@foreign.example.com/layer", "", 200},
		{"trap 31: a foreign layer may not come by plain HTTP", "http://foreign.example.com/layer", `plain HTTP to "foreign.example.com" is refused`, 200},
		{"trap 31: a foreign layer may not come from our own network", "https://10.0.0.1/layer", `ghcr.io sends us to "10.0.0.1", a private address, which is refused`, 200},
		{"trap 31: a foreign layer that is nowhere", "https://foreign.example.com/layer", "no such blob (foreign.example.com says 404 Not Found)", 404},
		{"trap 31: a foreign layer at no URL", "https://[", `the foreign layer is at "https://[", which is no URL`, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				img := newImage(t, amd64, content)
				img.manifest.Layers[0].MediaType = types.DockerForeignLayer
				img.manifest.Layers[0].URLs = []string{tt.url}
				delete(img.blobs, img.manifest.Layers[0].Digest)
				f.keep(t, "latest", img)
				f.hook = requireBasic()
				n.serveTLS(t, "ghcr.io:443", f)
				n.serveTLS(t, "foreign.example.com:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if got := r.Header.Get("Authorization"); got != "" {
						t.Errorf("a foreign host was sent %q", got)
					}
					w.WriteHeader(tt.answer)
					if tt.answer == http.StatusOK {
						_, _ = io.WriteString(w, content)
					}
				}))
				c := newClient(t, n, registry.Options{Credentials: alice()})
				got, err := readLayer(t, mustResolve(t, c, "ghcr.io/acme/mcp").Layers[0])
				if tt.want != "" {
					wantError(t, err, tt.want, "")
				} else if err != nil || got != content {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
			})
		})
	}
}
