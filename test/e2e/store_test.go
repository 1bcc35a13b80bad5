package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
)

// store is a real registry, the CNCF's distribution, on a Unix socket. Clients
// reach it through a front.
type store struct {
	daemon *daemon.Daemon
	dial   http.RoundTripper
	pusher *httptest.Server
	mu     sync.Mutex // held while pushing: distribution mixes up two uploads of one blob
}

// startStore starts an empty registry below dir.
func startStore(ctx context.Context, dir string) (*store, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "socket")
	config := filepath.Join(dir, "config.yml")
	body := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %q}}\n"+
		"http: {net: unix, addr: %q, secret: none}\n", filepath.Join(dir, "data"), socket)
	if err := os.WriteFile(config, []byte(body), 0o600); err != nil {
		return nil, err
	}
	d, err := daemon.Start(filepath.Join(dir, "log"), exec.CommandContext(context.WithoutCancel(ctx), "docker-registry", "serve", config))
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	s := &store{daemon: d, dial: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}
	if err := d.Ready(ctx, s.answers); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	s.pusher = httptest.NewServer(s.proxy())
	return s, nil
}

func (s *store) stop() error {
	s.pusher.Close()
	return s.daemon.Stop()
}

// answers reports whether the registry is up.
func (s *store) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry/v2/", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.dial.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// proxy hands requests on to the registry, under the name by which the client
// knows it.
func (s *store) proxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: s.dial,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "registry"})
			r.Out.Host = r.In.Host
		},
	}
}

// push stores img under path, such as "demo/greeter:1".
func (s *store) push(t *testing.T, path string, img v1.Image) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	ref, err := name.ParseReference(s.pusher.Listener.Addr().String() + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// front is one way to the registry, for one test.
type front struct {
	user, password string                   // asked for by Basic authentication, if set
	hold           func(*http.Request) bool // requests that get no answer, if set
	held           chan struct{}            // closed at the first of those
	holdOnce       sync.Once
	server         *httptest.Server
}

// open serves f on a port that the kernel chooses, until the test ends.
func (f *front) open(t *testing.T, s *store) {
	t.Helper()
	f.held = make(chan struct{})
	proxy := s.proxy()
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !f.admits(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case f.hold != nil && f.hold(r):
			f.holdOnce.Do(func() { close(f.held) })
			<-r.Context().Done()
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.server.Close)
}

func (f *front) admits(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return f.user == user && f.password == password
}

// ref returns the reference of what was pushed under path.
func (f *front) ref(path string) string {
	return f.server.Listener.Addr().String() + "/" + path
}

// isLayer returns a test for requests that ask for a layer of img.
func isLayer(t *testing.T, img v1.Image) func(*http.Request) bool {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var suffixes []string
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		suffixes = append(suffixes, "/blobs/"+digest.String())
	}
	return func(r *http.Request) bool {
		return slices.ContainsFunc(suffixes, func(suffix string) bool { return strings.HasSuffix(r.URL.Path, suffix) })
	}
}
