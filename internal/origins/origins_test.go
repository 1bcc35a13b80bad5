package origins_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/drengskapur/fastmcp-runner/internal/origins"
)

func TestAllowedFromAnEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		env           []string
		hosts, not    []string
		origins, nots []string
	}{
		{
			"nothing but the loopback and addresses", nil,
			[]string{"localhost", "localhost:8080", "127.0.0.1:80", "[::1]:80", "10.0.0.7:7860", "a.localhost"},
			[]string{"evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "acme-mcp.hf.space", ""},
			[]string{"http://localhost:6274", "http://127.0.0.1", "https://[::1]:9"},
			[]string{"http://evil.com", "http://10.0.0.7", "null", "file://localhost", "http://localhost.evil.com"},
		},
		{
			"a Space",
			[]string{"SPACE_HOST=acme-mcp.hf.space"},
			[]string{"acme-mcp.hf.space", "ACME-mcp.hf.space."},
			[]string{"other.hf.space"},
			[]string{"https://acme-mcp.hf.space"},
			[]string{"https://other.hf.space", "http://acme-mcp.hf.space", "https://acme-mcp.hf.space:8443", "https://acme-mcp.hf.space/"},
		},
		{
			"other platforms",
			[]string{
				"RENDER_EXTERNAL_HOSTNAME=a.onrender.com", "RAILWAY_PUBLIC_DOMAIN=a.up.railway.app", "FLY_APP_NAME=a",
				"WEBSITE_HOSTNAME=a.azurewebsites.net", "CONTAINER_APP_NAME=a", "CONTAINER_APP_ENV_DNS_SUFFIX=x.westeurope.azurecontainerapps.io",
			},
			[]string{"a.onrender.com", "a.up.railway.app", "a.fly.dev", "a.azurewebsites.net", "a.x.westeurope.azurecontainerapps.io"},
			[]string{"b.fly.dev", "fly.dev", "x.westeurope.azurecontainerapps.io"},
			nil, nil,
		},
		{
			"Cloud Run",
			[]string{"K_SERVICE=mcp"},
			[]string{"mcp-123.us-central1.run.app", "mcp-abc-uc.a.run.app"},
			[]string{"other-abc-uc.a.run.app", "mcp-abc.run.app.evil.com"},
			[]string{"https://mcp-abc-uc.a.run.app"},
			nil,
		},
		{
			"what the operator allows",
			[]string{"RUNNER_ALLOWED_ORIGINS=https://mcp.example.com, http://desk.lan:3000/"},
			[]string{"mcp.example.com", "desk.lan"},
			[]string{"example.com"},
			[]string{"https://MCP.example.com", "https://mcp.example.com:443", "http://desk.lan:3000"},
			[]string{
				"http://mcp.example.com", "http://desk.lan:3001", "https://mcp.example.com:8443", "https://mcp.example.com/",
				"https://u@mcp.example.com", "https://mcp.example.com?", "https://mcp.example.com#", "https://mcp.example.com.",
				"https://mcp.example.com:", "https://mcp.example.com, https://mcp.example.com", "https://desk.lan",
			},
		},
		{
			"what browsers write in another way",
			[]string{"RUNNER_ALLOWED_ORIGINS=https://Straße.example https://[2001:DB8:0:0::1]:0443 http://my_mcp:08080 vscode-webview://1a2b http://[::FFFF:10.0.0.7]"},
			[]string{"xn--strae-oqa.example", "my_mcp", "[2001:db8::1]"},
			[]string{"strasse.example"},
			[]string{
				"https://xn--strae-oqa.example", "https://[2001:db8::1]", "http://my_mcp:8080", "vscode-webview://1a2b",
				"http://[::ffff:a00:7]",
			},
			[]string{"https://strasse.example", "https://[2001:db8::1]:8443", "http://my_mcp", "https://my_mcp:8080"},
		},
		{
			"everything",
			[]string{"RUNNER_ALLOWED_ORIGINS=*"},
			[]string{"evil.com"},
			nil,
			[]string{"http://evil.com", "null"},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := origins.From(tt.env)
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, allows func(string) bool, values []string, want bool) {
				for _, value := range values {
					if got := allows(value); got != want {
						t.Errorf("%s %q is allowed: %t, want %t", what, value, got, want)
					}
				}
			}
			check("Host", o.AllowsHost, tt.hosts, true)
			check("Host", o.AllowsHost, tt.not, false)
			check("Origin", o.AllowsOrigin, tt.origins, true)
			check("Origin", o.AllowsOrigin, tt.nots, false)
		})
	}
}

func TestAWrongOriginOfTheOperatorIsAnError(t *testing.T) {
	t.Parallel()
	for _, list := range []string{
		"mcp.example.com", "https://a/b", "https://a//", "https://", "https://user@a", "null", "https://*.example.com", "https://a:65536",
		"https://a:", "https://[::1", "https://[fe80::1%25eth0]", "https://a\u200d.example", "https://a%41", "https://a;b",
	} {
		_, err := origins.From([]string{"RUNNER_ALLOWED_ORIGINS=https://fine.example " + list})
		if want := strconv.Quote(list) + " is not an origin such as https://mcp.example.com"; err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", list, err, want)
		}
	}
}

func TestHostsAndOriginsThatLookLikeOthers(t *testing.T) {
	t.Parallel()
	o, err := origins.From([]string{"SPACE_HOST=acme-mcp.hf.space", "K_SERVICE=mcp"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:80": true, "localhost.": true, "localhost.:80": true, "[::1]": true, "[::1]:80": true, "::1": true,
		"127.0.0.1.": true, "[::ffff:127.0.0.1]:80": true, "[fe80::1%25eth0]:80": true, "acme-mcp.hf.space.:443": true,
		"": false, ".": false, "localhost..": false, "xlocalhost": false, "localhost.evil.com": false, "evil.com:80@localhost": false, "2130706433": false,
		"0x7f.1": false, "127.1": false, "127.0.0.1.evil.com": false, "evil.com#.localhost": true, // which no browser sends
		"acme-mcp.hf.space.evil.com": false, "xacme-mcp.hf.space": false, "mcp-1.run.app.evil.com": false, "evil-mcp-1.run.app": false, "acme-mcp。hf。space": false,
	} {
		if got := o.AllowsHost(host); got != want {
			t.Errorf("Host %q is allowed: %t, want %t", host, got, want)
		}
	}
	for origin, want := range map[string]bool{
		"http://localhost": true, "http://LOCALHOST:1": true, "https://[::1]:8443": true, "http://127.0.0.2": true,
		"null": false, "": false, "localhost": false, "//localhost": false, "http://": false, "http://10.0.0.1": false,
		"http://localhost@evil.com": false, "http://localhost:80@evil.com": false, "http://evil.com#localhost": false, "http://evil.com/localhost": false,
		"http://evil.com\\@localhost": false, "javascript://localhost": false, "http://acme-mcp.hf.space": false, "http://localhost, http://evil.com": false,
		"http://localhost.evil.com": false, "http://[::1].evil.com": false, "https://mcp-1.run.app.evil.com": false,
	} {
		if got := o.AllowsOrigin(origin); got != want {
			t.Errorf("Origin %q is allowed: %t, want %t", origin, got, want)
		}
	}
}

func FuzzAnEntryAdmitsItself(f *testing.F) {
	for _, entry := range []string{
		"https://mcp.example.com", "HTTP://DESK.lan.:080/", "https://[::1]:443", "https://bücher.example", "app://x", "https://*.a", "*",
	} {
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		o, err := origins.From([]string{"RUNNER_ALLOWED_ORIGINS=" + entry})
		entry = strings.TrimSpace(entry)
		if err != nil || entry == "" || strings.ContainsAny(entry, ", ") {
			return
		}
		if origin := strings.TrimSuffix(entry, "/"); !o.AllowsOrigin(origin) {
			t.Errorf("%q does not admit itself", origin)
		}
		// Clients name the Host in ASCII (RFC 5891, 4.4).
		if u, err := url.Parse(entry); err == nil && isASCII(u.Host) && !o.AllowsHost(u.Host) {
			t.Errorf("%q does not admit its Host %q", entry, u.Host)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
