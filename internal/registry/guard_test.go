package registry_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, registry, target string
		insecure               []string
		want                   string // "": the blob comes from there.
	}{
		{"trap 47: storage gets no Authorization", "ghcr.io", "https://storage.example.com/blob?X-Amz-Signature=" + signature, nil, ""},
		{"trap 47: nor does a subdomain", "ghcr.io", "https://cdn.ghcr.io/blob", nil, ""},
		{"trap 47: nor does another port", "ghcr.io", "https://ghcr.io:8443/blob", nil, ""},
		{"trap 47: nor are credentials in the URL used", "ghcr.io", "https://user:pw@storage.example.com/blob", nil, ""},
		{"trap 47: https to http is refused", "ghcr.io", "http://storage.example.com/blob", nil, `ghcr.io redirects from HTTPS to plain HTTP at "storage.example.com", which is refused`},
		{"trap 47: even where plain HTTP is allowed", "ghcr.io", "http://storage.example.com/blob", []string{"storage.example.com"}, "from HTTPS to plain HTTP"},
		{"trap 47: a private address is refused", "ghcr.io", "https://192.168.0.1/blob", nil, `ghcr.io sends us to "192.168.0.1", a private address, which is refused`},
		{"trap 47: a private IPv6 address is refused", "ghcr.io", "https://[fd00::1]/blob", nil, "a private address, which is refused"},
		{"trap 47: an IPv4 address dressed as IPv6 is refused", "ghcr.io", "https://[::ffff:10.0.0.1]/blob", nil, "a private address, which is refused"},
		{"trap 47: this machine is refused", "ghcr.io", "https://localhost./blob", nil, "a private address, which is refused"},
		{"trap 47: the metadata service is refused", "ghcr.io", "https://169.254.169.254/latest", nil, "a link-local address, which is refused"},
		{"trap 47: it is refused to a private registry too", "10.0.0.1", "https://169.254.169.254/latest", nil, "a link-local address, which is refused"},
		{"trap 47: a private registry may use its neighbours", "10.0.0.1", "https://10.0.0.2/blob", nil, ""},
		{"trap 47: any registry may use a private address that was listed", "ghcr.io", "https://10.0.0.2/blob", []string{"10.0.0.2"}, ""},
		{"trap 47: another scheme is refused", "ghcr.io", "ftp://storage.example.com/blob", nil, "is refused"},
		{"no URL, and it is not quoted", "ghcr.io", "https://[" + signature, nil, "ghcr.io redirects to something that is no URL"},
		{"a loop ends", "ghcr.io", "https://loop.example.com/", nil, "the registry redirects more than 10 times"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "latest", newImage(t, amd64, content))
				f.hook = requireBasic()
				n.serveTLS(t, tt.registry+":443", f)
				storage := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if got := r.Header.Get("Authorization"); got != "" {
						t.Errorf("%s was sent %q", r.Host, got)
					}
					_, _ = io.WriteString(w, content)
				})
				for _, address := range []string{"storage.example.com:443", "cdn.ghcr.io:443", "ghcr.io:8443", "10.0.0.2:443"} {
					n.serveTLS(t, address, storage)
				}
				n.serve(t, "storage.example.com:80", storage)
				n.serveTLS(t, "loop.example.com:443", http.RedirectHandler("/", http.StatusFound))
				var log journal
				c := newClient(t, n, registry.Options{Credentials: alice(), Insecure: tt.insecure, Log: log.logger()})
				img := mustResolve(t, c, tt.registry+"/acme/mcp")
				f.hook = redirect(tt.target)
				got, err := readLayer(t, img.Layers[0])
				if tt.want != "" {
					wantError(t, err, tt.want, "")
				} else if err != nil || got != content {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				if strings.Contains(log.String()+fmt.Sprint(err), signature) {
					t.Errorf("trap 50: a presigned URL stands in the log or the error: %v\n%s", err, log.String())
				}
			})
		})
	}
}

const signature = "f3a9c0ffee"

// redirect returns a hook that sends alice's requests to a target.
func redirect(target string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !requireBasic()(w, r) {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
		return true
	}
}

func TestExpiredRedirect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), newFake()
		f.keep(t, "latest", newImage(t, amd64, content))
		n.serveTLS(t, "ghcr.io:443", f)
		img := mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
		signed := 0
		f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
			signed++
			w.Header().Set("Location", fmt.Sprintf("https://storage.example.com/blob?signature=%d", signed))
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}
		served := map[string]int{}
		n.serveTLS(t, "storage.example.com:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			by := r.URL.Query().Get("signature")
			served[by]++
			switch by {
			case "1":
				cutAt(w, 0, cut)
			case "2": // Expired between the two requests.
				refuse(w, http.StatusForbidden, "AccessDenied", "Request has expired")
			default:
				f.serveBlob(w, r, img.Layers[0].Descriptor().Digest.String())
			}
		}))
		got, err := readLayer(t, img.Layers[0])
		if err != nil || got != content {
			t.Errorf("trap 47: read %d bytes, %v", len(got), err)
		}
		if want := map[string]int{"1": 1, "2": 1, "3": 1}; fmt.Sprint(served) != fmt.Sprint(want) {
			t.Errorf("trap 47: the URLs signed were used %v times, want each once", served)
		}
	})
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, address, ref string
		insecure           []string
		want, hint         string
	}{
		{"trap 49: loopback by name", "localhost:5000", "localhost:5000/x", nil, "", ""},
		{"trap 49: loopback by address", "127.0.0.2:5000", "127.0.0.2:5000/x", nil, "", ""},
		{"trap 49: loopback by IPv6 address", "[::1]:5000", "[::1]:5000/x", nil, "", ""},
		{"trap 49: a host that is listed, with its port", "registry.corp:5000", "registry.corp:5000/x", []string{"registry.corp:5000"}, "", ""},
		{"trap 49: a host that is listed, for all ports", "registry.corp:5000", "registry.corp:5000/x", []string{"Registry.Corp"}, "", ""},
		{"trap 49: a host that is listed, at the default port of plain HTTP", "registry.corp:80", "registry.corp/x", []string{"registry.corp"}, "", ""},
		{
			"trap 49: a host that is listed with another port", "registry.corp:5000", "registry.corp:5000/x",
			[]string{"registry.corp:5001"},
			"registry.corp:5000: http: server gave HTTP response to HTTPS client", "RUNNER_INSECURE_REGISTRIES",
		},
		{
			"trap 49: a private address that is not listed", "10.0.0.1:5000", "10.0.0.1:5000/x", nil,
			"10.0.0.1:5000: http: server gave HTTP response to HTTPS client", "RUNNER_INSECURE_REGISTRIES",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "latest", newImage(t, amd64, "layer"))
				n.serve(t, tt.address, f)
				_, err := newClient(t, n, registry.Options{Insecure: tt.insecure}).Resolve(t.Context(), parse(t, tt.ref), amd64)
				if tt.want != "" {
					wantError(t, err, tt.want, tt.hint)
					if f.seen("") != 0 {
						t.Error("something was asked in plain HTTP")
					}
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRealms(t *testing.T) {
	t.Parallel()
	const mayBeListed = "RUNNER_INSECURE_REGISTRIES"
	tests := []struct{ name, registry, realm, want, hint string }{
		{"trap 47: a token server on another port of loopback, for a registry on loopback", "127.0.0.1:5000", "http://127.0.0.1:5001/token", "", ""},
		{"trap 47: a token server on a private address, for a registry on one", "10.0.0.1:5000", "https://10.0.0.2/token", "", ""},
		{"trap 47: a token server on this machine, for a registry elsewhere", "ghcr.io", "http://127.0.0.1:5001/token", `ghcr.io sends us to "127.0.0.1:5001", a private address`, mayBeListed},
		{"trap 47: a token server in plain HTTP", "ghcr.io", "http://auth.example.com/token", `plain HTTP to "auth.example.com" is refused`, mayBeListed},
		{"trap 47: the metadata service, which cannot be listed", "127.0.0.1:5000", "https://169.254.169.254/token", "a link-local address, which is refused", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "latest", newImage(t, amd64, "layer"))
				f.hook = requireBearer(fmt.Sprintf(`Bearer realm=%q`, tt.realm), is("good"))
				server := &tokens{answer: giving(`{"token":"good"}`)}
				n.serve(t, "127.0.0.1:5001", server)
				n.serve(t, "auth.example.com:80", server)
				n.serveTLS(t, "10.0.0.2:443", server)
				n.serveTLS(t, "127.0.0.1:5000", f)
				n.serveTLS(t, "10.0.0.1:5000", f)
				n.serveTLS(t, "ghcr.io:443", f)
				c := newClient(t, n, registry.Options{Credentials: alice()})
				_, err := c.Resolve(t.Context(), parse(t, tt.registry+"/acme/mcp"), amd64)
				if tt.want == "" && err != nil {
					t.Error(err)
				}
				if tt.want != "" {
					wantError(t, err, tt.want, tt.hint)
					if _, ok := errors.AsType[*registry.Error](err); !ok || tt.hint == "" && hint.Of(err) != "" {
						t.Errorf("%v has a hint that does not help: %q", err, hint.Of(err))
					}
					if len(server.asked) != 0 {
						t.Error("the credentials were sent")
					}
				}
			})
		})
	}
}

func TestLinkLocalAddress(t *testing.T) {
	t.Parallel()
	c, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Resolve(t.Context(), parse(t, "169.254.1.2/x"), amd64)
	wantError(t, err, "a connection to 169.254.1.2:443, a link-local address, is refused", "")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	t.Run("trap 49: a private CA that is not given is a clear error", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			n.serveTLS(t, "ghcr.io:443", newFake())
			c, err := registry.New(registry.Options{Dial: n.dial})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			_, err = c.Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
			wantError(t, err, "cannot resolve ghcr.io/acme/mcp: ghcr.io: tls: failed to verify certificate: x509: certificate signed by unknown authority",
				"RUNNER_CA_FILE")
		})
	})
	t.Run("trap 49: a host that may use plain HTTP must still be who it says over HTTPS", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			n.serveTLS(t, "registry.corp:443", f)
			c, err := registry.New(registry.Options{Dial: n.dial, Insecure: []string{"registry.corp"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			_, err = c.Resolve(t.Context(), parse(t, "registry.corp/acme/mcp"), amd64)
			wantError(t, err, "certificate signed by unknown authority", "")
		})
	})
}

func TestProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inside, outside, f := newNetwork(), newNetwork(), newFake()
		f.keep(t, "latest", newImage(t, amd64, content))
		outside.serveTLS(t, "ghcr.io:443", f)
		inside.serve(t, "proxy.corp:3128", tunnel(t, outside))
		proxy, err := url.Parse("http://user:" + password + "@proxy.corp:3128")
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, inside, registry.Options{Proxy: func(u *url.URL) (*url.URL, error) {
			if u.Hostname() != "ghcr.io" {
				t.Errorf("asked for the proxy for %s", u)
			}
			return proxy, nil
		}})
		if _, err := readLayer(t, mustResolve(t, c, "ghcr.io/acme/mcp").Layers[0]); err != nil {
			t.Errorf("trap 49: %v", err)
		}
	})
}

// tunnel is a proxy from one network to another.
func tunnel(t *testing.T, to *network) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || !strings.HasPrefix(r.Header.Get("Proxy-Authorization"), "Basic ") {
			t.Errorf("the proxy was asked to %s as %q", r.Method, r.Header.Get("Proxy-Authorization"))
		}
		far, err := to.dial(r.Context(), "tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(http.StatusOK)
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer near.Close()
			_, _ = io.Copy(near, far)
		}()
		defer far.Close()
		_, _ = io.Copy(far, near)
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts registry.Options
		want string
	}{
		{"trap 49: a CA file without certificates", registry.Options{RootCAs: []byte("no PEM")}, "cannot use the CA certificates: there is no PEM certificate in them"},
		{"a URL where a host belongs", registry.Options{Insecure: []string{"http://registry.corp"}}, `cannot allow plain HTTP for "http://registry.corp": not a host or host:port`},
		{"an empty host", registry.Options{Insecure: []string{""}}, `cannot allow plain HTTP for ""`},
		{"trap 50: a Docker config that is none", dockerOptions(`{}`, `{"auths":[`), `the Docker configuration "/config.json" is unreadable: not JSON`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := registry.New(tt.opts)
			wantError(t, err, tt.want, "")
		})
	}
}
