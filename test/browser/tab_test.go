package browser_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds how long a test waits for the page, on a machine that does
// much else.
const patience = time.Minute

// look says how a page is looked at.
type look struct {
	width, height int64
	dark          bool
	still         bool // prefers-reduced-motion
}

// desk and phone are the usual ways.
var (
	desk  = look{width: 1100, height: 900}
	phone = look{width: 360, height: 740}
)

// looks are the usual ways, in both colour schemes.
func looks() []look {
	dark, darkPhone := desk, phone
	dark.dark, darkPhone.dark = true, true
	return []look{desk, dark, phone, darkPhone}
}

func (l look) String() string {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	return fmt.Sprintf("%d-%s", l.width, scheme)
}

// tab is a tab of the browser, in a profile of its own. At the end of the test
// it must have asked nobody but the host of its page, and have nothing to
// complain of.
type tab struct {
	*testing.T

	ctx context.Context //nolint:containedctx // it is chromedp's handle of the tab

	mu         sync.Mutex
	requests   []network.Request
	complaints []string
	hosts      []string // that may be asked
	expected   string   // what the browser has to complain of; empty for nothing
}

// newTab opens an empty tab.
func newTab(t *testing.T, l look) *tab {
	t.Helper()
	if chromium == nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no chromium")
		}
		t.Skip("needs chromium")
	}
	tb := &tab{T: t}
	ctx, closeTab := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(tb.hear))
	t.Cleanup(closeTab)
	tb.ctx = ctx
	// The tab lives as long as the context of its first action: not one with
	// a time-out.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tb.judge)
	tb.look(l)
	return tb
}

// open opens a page.
func open(t *testing.T, page string, l look) *tab {
	t.Helper()
	tb := newTab(t, l)
	tb.goTo(page)
	tb.await("the script", "document.documentElement.classList.contains('scripted')")
	return tb
}

// goTo loads a page, whose host may be asked.
func (tb *tab) goTo(page string) {
	tb.Helper()
	u, err := url.Parse(page)
	if err != nil {
		tb.Fatal(err)
	}
	tb.mu.Lock()
	tb.hosts = append(tb.hosts, u.Host)
	tb.mu.Unlock()
	tb.do(chromedp.Navigate(page))
}

// look changes how the page is looked at.
func (tb *tab) look(l look) {
	tb.Helper()
	scheme, motion := "light", "no-preference"
	if l.dark {
		scheme = "dark"
	}
	if l.still {
		motion = "reduce"
	}
	viewport := chromedp.EmulateViewport(l.width, l.height)
	if l.width < 500 {
		viewport = chromedp.EmulateViewport(l.width, l.height, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	tb.do(viewport, call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
	}}))
}

// call makes an action of a command whose result is of no interest.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// hear notes what the browser tells of the tab.
func (tb *tab) hear(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		tb.requests = append(tb.requests, *e.Request)
	case *log.EventEntryAdded:
		tb.complaints = append(tb.complaints, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *runtime.EventExceptionThrown:
		tb.complaints = append(tb.complaints, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		tb.complaints = append(tb.complaints, fmt.Sprintf("console.%s: %+v", e.Type, e.Args))
	}
}

// asked returns the requests of the tab so far.
func (tb *tab) asked() []network.Request {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.requests)
}

// judge looks at what was heard.
func (tb *tab) judge() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if len(tb.requests) == 0 {
		tb.Error("the browser told of no request: is it not heard?")
	}
	for _, request := range tb.requests {
		u, err := url.Parse(request.URL)
		if err != nil || u.Scheme != "data" && !slices.Contains(tb.hosts, u.Host) {
			tb.Errorf("the page asked %s", request.URL)
		}
	}
	expected := tb.expected == ""
	for _, complaint := range tb.complaints {
		if tb.expected == "" || !strings.Contains(complaint, tb.expected) {
			tb.Errorf("the browser complains: %s", complaint)
			continue
		}
		expected = true
	}
	if !expected {
		tb.Errorf("the browser does not complain of %q", tb.expected)
	}
}

// do does things with the tab.
func (tb *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	tb.Helper()
	get(tb, chromedp.Steps(actions...))
}

// get does something with the tab and returns what comes of it.
func get[T any](tb *tab, action chromedp.Action[T]) T {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		tb.Fatal(err)
	}
	return value
}

// await waits until a JavaScript expression is true.
func (tb *tab) await(what, expression string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		// A page that is being replaced has no answer.
		done, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && done {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("waited in vain for %s (%v); the page says:\n%s", what, err, tb.text())
		}
	}
}

// evaluate returns the value of a JavaScript expression.
func evaluate[T any](tb *tab, expression string) T {
	tb.Helper()
	return get(tb, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// text returns the text of the page as it is seen.
func (tb *tab) text() string {
	tb.Helper()
	return evaluate[string](tb, "document.body.innerText")
}

// holds checks that the page shows all of some texts.
func (tb *tab) holds(texts ...string) {
	tb.Helper()
	body := tb.text()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			tb.Errorf("the page does not show %q; it shows:\n%s", text, body)
		}
	}
}

// enter types a text into a field, in the place of what is there.
func (tb *tab) enter(id, text string) {
	tb.Helper()
	tb.do(
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.getElementById(%q).select()", id)),
		chromedp.SendKeys(chromedp.ID(id), text),
	)
}

// shoot takes a picture of the whole page, if pictures are wanted.
func (tb *tab) shoot(name string) {
	tb.Helper()
	if *screenshots == "" {
		return
	}
	picture := get(tb, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), picture, 0o600); err != nil {
		tb.Error(err)
	}
}
