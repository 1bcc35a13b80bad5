package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/logging"
)

// lines runs log at the start of the year 2000, the time of a synctest bubble,
// and returns what was written.
func lines(t *testing.T, opts logging.Options, log func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) { log(logging.New(&out, opts)) })
	return out.String()
}

func TestLines(t *testing.T) {
	t.Parallel()
	const textHead, jsonHead = `2000-01-01T00:00:00Z [INFO]  `, `{"ts":"2000-01-01T00:00:00Z","level":"info",`
	for _, test := range []struct {
		name       string
		log        func(*slog.Logger)
		text, json string
	}{
		{
			"a message alone", func(l *slog.Logger) { l.Info("FastMCP Runner starting") },
			textHead + `FastMCP Runner starting`,
			jsonHead + `"msg":"FastMCP Runner starting"}`,
		},
		{
			"attributes in order", func(l *slog.Logger) { l.Info("M", "b", 1, "a", true, "d", 1500*time.Millisecond, "n", nil) },
			textHead + `M b=1 a=true d=1.5s n=<nil>`,
			jsonHead + `"msg":"M","b":1,"a":true,"d":1500000000,"n":null}`,
		},
		{
			"quotes where a value could be misread",
			func(l *slog.Logger) {
				l.Info("M", "s", "a b", "e", "a=b", "q", `"`, "x", "", "k k", "é") //nolint:sloglint // the odd key is what is tested
			},
			textHead + `M s="a b" e="a=b" q="\"" x="" "k k"=é`,
			jsonHead + `"msg":"M","s":"a b","e":"a=b","q":"\"","x":"","k k":"é"}`,
		},
		{
			"a line break makes no second line",
			func(l *slog.Logger) {
				l.Info("a\nb \"c\" \x1b[31m\xff\u2028", "k\n", "v\r\n", "err", errors.New("x\ny")) //nolint:sloglint // the odd key is what is tested
			},
			textHead + `a\nb "c" \x1b[31m\xff\u2028 "k\n"="v\r\n" err="x\ny"`,
			jsonHead + `"msg":"a\nb \"c\" \u001b[31m\ufffd\u2028","k\n":"v\r\n","err":"x\ny"}`,
		},
		{
			"groups before the key",
			func(l *slog.Logger) {
				l.With("z", 0).WithGroup("g").With("y", 1).WithGroup("h").Info("M", "a", 1, slog.Group("i", "b", 2), slog.Group("", "c", 3))
			},
			textHead + `M z=0 g.y=1 g.h.a=1 g.h.i.b=2 g.h.c=3`,
			jsonHead + `"msg":"M","z":0,"g":{"y":1,"h":{"a":1,"i":{"b":2},"c":3}}}`,
		},
		{
			"attributes with the names of ours",
			func(l *slog.Logger) {
				l.Info("M", "level", "x", "time", 1, "g", slog.GroupValue(slog.Any("level", slog.LevelInfo)))
			},
			textHead + `M level=x time=1 g.level=INFO`,
			jsonHead + `"msg":"M","level":"x","time":1,"g":{"level":"INFO"}}`,
		},
		{
			"times and bytes", func(l *slog.Logger) { l.Info("M", "t", time.Unix(0, 5).UTC(), "b", []byte("hi")) },
			textHead + `M t=1970-01-01T00:00:00.000000005Z b=hi`,
			jsonHead + `"msg":"M","t":"1970-01-01T00:00:00.000000005Z","b":"aGk="}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.text+"\n", lines(t, logging.Options{}, test.log)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.json+"\n", lines(t, logging.Options{Format: logging.JSON}, test.log)); diff != "" {
				t.Errorf("json (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	all := func(l *slog.Logger) { l.Debug("m"); l.Info("m"); l.Warn("m"); l.Error("m") }
	for _, test := range []struct {
		name string
		opts logging.Options
		want string
	}{
		{"text from debug", logging.Options{Level: slog.LevelDebug}, "[DEBUG] m|[INFO]  m|[WARN]  m|[ERROR] m|"},
		{"text from warn", logging.Options{Level: slog.LevelWarn}, "[WARN]  m|[ERROR] m|"},
		{"json from info", logging.Options{Format: logging.JSON}, `{"level":"info","msg":"m"}|{"level":"warn","msg":"m"}|{"level":"error","msg":"m"}|`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := strings.NewReplacer(
				"2000-01-01T00:00:00Z ", "", `"ts":"2000-01-01T00:00:00Z",`, "", "\n", "|",
			).Replace(lines(t, test.opts, all))
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestTimeIsUTC(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	at := time.Date(2024, 1, 15, 12, 30, 0, 999, time.FixedZone("", 2*60*60))
	record := slog.NewRecord(at, slog.LevelInfo, "m", 0)
	for _, format := range []logging.Format{logging.Text, logging.JSON} {
		if err := logging.New(&out, logging.Options{Format: format}).Handler().Handle(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	want := "2024-01-15T10:30:00Z [INFO]  m\n" + `{"ts":"2024-01-15T10:30:00Z","level":"info","msg":"m"}` + "\n"
	if out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}

// countingWriter counts the calls of Write.
type countingWriter struct{ calls int }

func (w *countingWriter) Write(p []byte) (int, error) { w.calls++; return len(p), nil }

func TestOneWriteALine(t *testing.T) {
	t.Parallel()
	for _, format := range []logging.Format{logging.Text, logging.JSON} {
		var w countingWriter
		log := logging.New(&w, logging.Options{Format: format, Secrets: []string{"hunter22"}})
		log.With("a", 1).Info("m", "b", strings.Repeat("x", 100_000))
		if w.calls != 1 {
			t.Errorf("%s: %d calls of Write, want 1", format, w.calls)
		}
	}
}

var errDisk = errors.New("no space left on device")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errDisk }

func TestWriteErrorIsReturned(t *testing.T) {
	t.Parallel()
	for _, format := range []logging.Format{logging.Text, logging.JSON} {
		h := logging.New(failingWriter{}, logging.Options{Format: format}).Handler()
		if err := h.Handle(t.Context(), slog.Record{}); !errors.Is(err, errDisk) {
			t.Errorf("%s: Handle gives %v, want %v", format, err, errDisk)
		}
	}
}

func TestDerivedLoggersDoNotShareAttributes(t *testing.T) {
	t.Parallel()
	got := lines(t, logging.Options{}, func(l *slog.Logger) {
		base := l.With("a", 1)
		x, y := base.With("x", 1), base.With("y", 1)
		x.Info("m")
		y.Info("m")
	})
	if want := "2000-01-01T00:00:00Z [INFO]  m a=1 x=1\n2000-01-01T00:00:00Z [INFO]  m a=1 y=1\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// pair prints its fields only as JSON does.
type pair struct{ Value *string }

type valuer struct{ s string }

func (v valuer) LogValue() slog.Value { return slog.StringValue(v.s) }

func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	secrets := []string{"hunter22", "hunter22extra", `p"w d/ä`, "abc"}
	for _, format := range []logging.Format{logging.Text, logging.JSON} {
		for _, secret := range secrets[:3] {
			got := lines(t, logging.Options{Format: format, Secrets: secrets}, func(l *slog.Logger) {
				l = l.With("with", secret).WithGroup("g")
				l.Info(
					"Sent "+secret+" to "+fmt.Sprintf("%q", secret), //nolint:sloglint // a secret in the message is what is tested
					"s", secret, "err", fmt.Errorf("cannot log in with %q", secret),
					"group", slog.GroupValue(slog.String("in", secret)), "valuer", valuer{secret}, "pointer", pair{&secret},
					"list", []string{secret}, "n", 1, "channel", make(chan int),
				)
			})
			for _, part := range []string{secret, "hunter", "extra", "p\\", "w d", "d/"} {
				if strings.Contains(got, part) {
					t.Errorf("%s: %q shows in %s", format, part, got)
				}
			}
			if n := strings.Count(got, "[redacted]"); n != 9 {
				t.Errorf("%s: %d redactions, want 9, in %s", format, n, got)
			}
		}
	}
}

func TestShortSecretIsLetThrough(t *testing.T) {
	t.Parallel()
	got := lines(t, logging.Options{Secrets: []string{"abc", ""}}, func(l *slog.Logger) { l.Info("abcd", "k", "abc") })
	if want := "2000-01-01T00:00:00Z [INFO]  abcd k=abc\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHandlersKeepTheRulesOfSlog(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {"hunter22"}} {
		for format, parse := range map[logging.Format]func(string) (map[string]any, error){
			logging.JSON: parseJSON, logging.Text: parseText,
		} {
			t.Run(fmt.Sprintf("%s with %d secrets", format, len(secrets)), func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				slogtest.Run(t, func(*testing.T) slog.Handler {
					out.Reset()
					return logging.New(&out, logging.Options{Format: format, Secrets: secrets}).Handler()
				}, func(t *testing.T) map[string]any {
					t.Helper()
					record, err := parse(strings.TrimSuffix(out.String(), "\n"))
					if err != nil {
						t.Fatal(err)
					}
					return record
				})
			})
		}
	}
}

func parseJSON(line string) (map[string]any, error) {
	var record map[string]any
	err := json.Unmarshal([]byte(line), &record)
	if ts, ok := record["ts"]; ok {
		record[slog.TimeKey] = ts
	}
	return record, err
}

// parseText reads a line whose message is one word and whose attributes hold
// no spaces.
func parseText(line string) (map[string]any, error) {
	m := regexp.MustCompile(`^(\S+ )?\[(\w+)\] +([^ =]+)((?: [^ =]+=\S+)*)$`).FindStringSubmatch(line)
	if m == nil {
		return nil, errors.New("not a line of the log: " + strconv.Quote(line))
	}
	record := map[string]any{slog.LevelKey: m[2], slog.MessageKey: m[3]}
	if m[1] != "" {
		record[slog.TimeKey] = m[1]
	}
	for attr := range strings.FieldsSeq(m[4]) {
		key, value, _ := strings.Cut(attr, "=")
		path := strings.Split(key, ".")
		group := record
		for _, name := range path[:len(path)-1] {
			inner, ok := group[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				group[name] = inner
			}
			group = inner
		}
		group[path[len(path)-1]] = value
	}
	return record, nil
}
