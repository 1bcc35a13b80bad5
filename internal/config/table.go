package config

import (
	"reflect"
	"slices"

	"github.com/caarlos0/env/v11"
)

// table is every variable that the runner reads, one field each. Parsing, the
// faults, what is kept from the server and docs/configuration.md all come
// from it. The tags are:
//
//	env         the variable's name
//	envDefault  what an unset or empty variable counts as
//	group       the heading in the documentation
//	doc         what it means; 'x' is printed as code
//	example     a right value, shown where a required one is missing
//	secret      "yes" if no message may show the value
//	spaces      "yes" if white space around the value means no mistake
//	protects    "yes" if it keeps strangers away, by means of a bridge
//	server      "yes" if the server sees the variable as well
//
// The type of a field is the rule that its value must obey.
type table struct {
	Image           reference    `env:"IMAGE" group:"server" example:"ghcr.io/acme/mcp:1.4" doc:"The image to run: an OCI reference by tag, digest or both. A reference without a registry host is taken from docker.io, with a warning; of a tag and a digest, the digest counts."`
	Port            port         `env:"PORT" group:"server" example:"8000" doc:"The port that the server listens on and that the health check asks, 1 to 65535; with 'stdio', the runner listens there. The server gets it as 'PORT'."`
	Transport       Transport    `env:"MCP_TRANSPORT" envDefault:"streamable-http" group:"server" doc:"The transport that the server speaks: 'streamable-http' (or 'http', as FastMCP calls it), 'sse' or 'stdio'. The server gets it under the same name, 'http' as 'streamable-http'. With 'stdio' the runner stays in front and serves it over HTTP."`
	Host            host         `env:"MCP_HOST" envDefault:"0.0.0.0" group:"server" doc:"The address to listen on: an IP address or a host name, without a port. The server gets it as 'HOST'."`
	Path            urlPath      `env:"MCP_PATH" envDefault:"/mcp" group:"server" doc:"The URL path of the MCP endpoint. The server gets it under the same name."`
	HealthcheckPath healthTarget `env:"HEALTHCHECK_PATH" envDefault:"/health" group:"server" doc:"The URL path, with a query if need be, that the health check asks for."`

	RegistryUser         credential `env:"REGISTRY_USER" group:"registry" doc:"The user name for the registry of 'IMAGE'. Goes with a password; both or neither."`
	RegistryUserFile     filename   `env:"REGISTRY_USER_FILE" group:"registry" doc:"A file that holds the user name."`
	RegistryPassword     credential `env:"REGISTRY_PASSWORD" group:"registry" secret:"yes" spaces:"yes" doc:"The password or access token for the registry of 'IMAGE'."`
	RegistryPasswordFile filename   `env:"REGISTRY_PASSWORD_FILE" group:"registry" doc:"A file that holds the password or token."`
	DockerAuthConfig     dockerAuth `env:"DOCKER_AUTH_CONFIG" group:"registry" secret:"yes" spaces:"yes" doc:"The content of a Docker 'config.json', as JSON or as base64 of it."`
	DockerConfig         filename   `env:"DOCKER_CONFIG" group:"registry" doc:"A Docker 'config.json', or the directory that holds it. If unset, '$HOME/.docker/config.json' is read if it exists."`
	InsecureRegistries   hosts      `env:"RUNNER_INSECURE_REGISTRIES" group:"registry" doc:"Registries that may be spoken to by plain HTTP: 'host[:port]', separated by commas. Loopback addresses need no mention."`
	CAFile               filename   `env:"RUNNER_CA_FILE" group:"registry" doc:"A PEM file of certificate authorities to trust besides the system's."`
	Platform             platform   `env:"RUNNER_PLATFORM" group:"registry" doc:"The platform to choose from an image index: 'os/arch[/variant]', such as 'linux/arm64/v8'. 'x86_64', 'aarch64' and the like are understood. If unset, that of the running machine."`

	HTTPProxy       proxyURL `env:"HTTP_PROXY" group:"proxy" secret:"yes" server:"yes" doc:"The proxy for plain HTTP requests: a URL with 'http', 'https', 'socks5' or 'socks5h', or 'host:port'."`
	LowerHTTPProxy  proxyURL `env:"http_proxy" group:"proxy" secret:"yes" server:"yes" doc:"Counts if 'HTTP_PROXY' is unset."`
	HTTPSProxy      proxyURL `env:"HTTPS_PROXY" group:"proxy" secret:"yes" server:"yes" doc:"The proxy for HTTPS requests, in the same form."`
	LowerHTTPSProxy proxyURL `env:"https_proxy" group:"proxy" secret:"yes" server:"yes" doc:"Counts if 'HTTPS_PROXY' is unset."`
	NoProxy         string   `env:"NO_PROXY" group:"proxy" spaces:"yes" server:"yes" doc:"Hosts to reach without a proxy, separated by commas: names (with everything below them), addresses, CIDR ranges; '*' is all."`
	LowerNoProxy    string   `env:"no_proxy" group:"proxy" spaces:"yes" server:"yes" doc:"Counts if 'NO_PROXY' is unset."`

	Mode       Mode        `env:"RUNNER_MODE" envDefault:"allowlist" group:"launch" doc:"How the image is run. 'allowlist': only application directories are taken from it, the rest is the runner's own system. 'rootfs': the whole image is taken and becomes the server's root."`
	Root       absPath     `env:"RUNNER_ROOT" envDefault:"/" group:"launch" doc:"The directory that plays the container's root. Another one than '/' is for trying things out."`
	AllowPaths commaList   `env:"RUNNER_ALLOW_PATHS" group:"launch" doc:"More absolute paths to take from the image, separated by commas. One that is or contains a system directory is refused."`
	User       user        `env:"RUNNER_USER" envDefault:"1000:1000" group:"launch" doc:"Whom the server runs as: 'uid[:gid]' in numbers. Without a gid, the gid is the uid."`
	Init       Switch      `env:"RUNNER_INIT" envDefault:"auto" group:"launch" doc:"'on': the runner stays PID 1, passes signals on, reaps orphans, and ends as the server does. 'off': the server replaces the runner. 'auto': off, except where a namespace needs a parent."`
	FakeRoot   Switch      `env:"RUNNER_FAKE_ROOT" envDefault:"auto" group:"launch" doc:"'on': calls such as chown and setuid succeed without effect, for entrypoints that expect root. 'auto': on in rootfs mode if the image's User is root and the server's is not."`
	Entrypoint programArgs `env:"RUNNER_ENTRYPOINT" group:"launch" spaces:"yes" doc:"Replaces the image's Entrypoint: a JSON array of strings, or words quoted as in a shell. Nothing is expanded."`
	Cmd        args        `env:"RUNNER_CMD" group:"launch" spaces:"yes" doc:"Replaces the image's Cmd, in the same forms. '[]' means none."`

	MaxBytes   size  `env:"RUNNER_MAX_BYTES" envDefault:"16GiB" group:"limits" doc:"The most bytes that an image may unpack to: a number, alone or with a suffix. 'K', 'M', 'G', 'T' and 'KiB', 'MiB', 'GiB', 'TiB' count in 1024s; 'KB', 'MB', 'GB', 'TB' in 1000s."`
	MaxEntries count `env:"RUNNER_MAX_ENTRIES" envDefault:"2000000" group:"limits" doc:"The most files, directories and links that all layers of an image may hold together."`

	AuthToken      credential `env:"RUNNER_AUTH_TOKEN" group:"bridge" secret:"yes" spaces:"yes" protects:"yes" doc:"The bearer token that clients must send. If unset, everybody who reaches the address may use the server."`
	AuthTokenFile  filename   `env:"RUNNER_AUTH_TOKEN_FILE" group:"bridge" protects:"yes" doc:"A file that holds the token."`
	AllowedOrigins string     `env:"RUNNER_ALLOWED_ORIGINS" group:"bridge" spaces:"yes" protects:"yes" doc:"Web pages, such as 'https://app.example.com', whose scripts may use the server, separated by commas; '*' is all. A page is admitted by exactly this scheme, host and port, in whichever way a name with other letters than ASCII or an IPv6 address is written; and requests may name its host, with any port, in their 'Host' header, which is checked where no token is needed. Loopback and the platform's own name for the container need no mention."`
	SessionKey     credential `env:"RUNNER_SESSION_KEY" group:"bridge" secret:"yes" spaces:"yes" doc:"A secret of 16 bytes or more that signs the ids of sessions, so that clients can go on with theirs after a restart: 'openssl rand -hex 32' makes one. What the server kept of a session in memory is lost all the same, and [not every session comes back](bridge.md#when-sessions-end). Keys for each use are derived from it. If unset, sessions end with the runner."`
	SessionKeyFile filename   `env:"RUNNER_SESSION_KEY_FILE" group:"bridge" doc:"A file that holds the key."`
	SSE            SSE        `env:"RUNNER_BRIDGE_SSE" envDefault:"on" group:"bridge" doc:"Whether the older HTTP+SSE transport is served too, at '/sse' and '/messages': 'on', 'off', or 'only', which leaves out 'MCP_PATH'."`
	Shared         onOff      `env:"RUNNER_BRIDGE_SHARED" envDefault:"off" group:"bridge" doc:"'on': all sessions share one process of the server, which takes them for one client, and stateless clients (2026-07-28) with the same capabilities another one. For a server that is too large to run more often, and that keeps nothing of its clients. 'off': each session has its own, and stateless clients share one of an older server only where nothing tells them apart: [who shares a process](../SECURITY.md#who-shares-a-process)."`
	MaxSessions    count      `env:"RUNNER_MAX_SESSIONS" group:"bridge" doc:"The most sessions at once, and servers of stateless clients, each of which is a process; more are answered 503. If unset, one for each 128 MiB of the memory that the container may use and each 32 processes, from 2 to 100."`
	IdleTimeout    duration   `env:"RUNNER_IDLE_TIMEOUT" envDefault:"30m" group:"bridge" doc:"After how long a session ends whose client sends nothing. A stream that merely stands open does not count."`
	Grace          duration   `env:"RUNNER_GRACE" envDefault:"4s" group:"bridge" doc:"How long the end may take after SIGTERM or SIGINT, such as '4s' or '500ms'. Servers that have not ended shortly before are killed."`
	Page           onOff      `env:"RUNNER_PAGE" envDefault:"on" group:"bridge" doc:"Whether '/' is a page that shows how the start is getting on, and then the server's tools and how clients reach it. With 'off' it is a line of text."`
	Metrics        onOff      `env:"RUNNER_METRICS" envDefault:"off" group:"bridge" doc:"Whether '/metrics' serves metrics for Prometheus, to those who have the token if there is one."`

	LogLevel  logLevel  `env:"LOG_LEVEL" envDefault:"info" group:"log" doc:"The least level that is logged: 'debug', 'info', 'warn' or 'error'."`
	LogFormat LogFormat `env:"LOG_FORMAT" envDefault:"text" group:"log" doc:"The form of a log line: 'text' or 'json'."`
}

// Variable describes one variable that the runner reads.
type Variable struct {
	// Name is the variable's name.
	Name string
	// Group is the topic that it belongs to: server, registry, proxy, launch,
	// limits, bridge or log.
	Group string
	// Default is what an unset or empty variable counts as.
	Default string
	// Example is a right value, given for those that have no default.
	Example string
	// Doc says what it means; 'x' stands for code.
	Doc string
	// Secret says that no message may show the value.
	Secret bool
	// Server says that the server sees the variable as well.
	Server bool

	field    string // the field of table
	spaces   bool   // white space around the value means no mistake
	protects bool   // it keeps strangers away, by means of a bridge
}

// Variables returns every variable that the runner reads by name, in the order
// of the documentation.
func Variables() []Variable {
	var list []Variable
	for field := range reflect.TypeFor[table]().Fields() {
		list = append(list, Variable{
			Name:     field.Tag.Get("env"),
			Group:    field.Tag.Get("group"),
			Default:  field.Tag.Get("envDefault"),
			Example:  field.Tag.Get("example"),
			Doc:      field.Tag.Get("doc"),
			Secret:   field.Tag.Get("secret") == "yes",
			Server:   field.Tag.Get("server") == "yes",
			field:    field.Name,
			spaces:   field.Tag.Get("spaces") == "yes",
			protects: field.Tag.Get("protects") == "yes",
		})
	}
	return list
}

// find returns the one variable of the table for which match is true.
func find(match func(Variable) bool) Variable {
	list := Variables()
	i := slices.IndexFunc(list, match)
	if i < 0 {
		panic("internal error: the table has no such variable")
	}
	return list[i]
}

// parser is the state of one Parse.
type parser struct {
	values   map[string]string // of all variables, the last of equal names
	open     opener
	faults   faults
	warnings []string
}

// set reports whether the variable has a value. An empty one counts as unset,
// as in "docker run -e IMAGE=".
func (p *parser) set(name string) bool { return p.values[name] != "" }

// readTable parses every variable by itself.
func (p *parser) readTable() table {
	// The library falls back to the process's environment when it is given
	// none, so the map is never nil.
	known := map[string]string{}
	for _, v := range Variables() {
		if !p.faults.about(v.Name) {
			known[v.Name] = p.values[v.Name]
		}
	}
	var t table
	err := env.ParseWithOptions(&t, env.Options{Environment: known})
	p.addParseErrors(err)
	return t
}
