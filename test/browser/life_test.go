package browser_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// TestThePageFollowsTheStart watches a start: the bar moves, and the page
// becomes that of the server by itself.
func TestThePageFollowsTheStart(t *testing.T) {
	t.Parallel()
	s := newStage(t, page.Options{}, resolving, nil)
	tb := open(t, s.url, desk)
	tb.holds("weather is starting", "Asking the registry")
	if evaluate[bool](tb, "document.querySelector('progress').hasAttribute('value')") {
		t.Error("the bar shows a value before the size is known")
	}
	s.set(page.State{Status: page.Starting, Phase: page.Pulling, Image: image, Read: 10_000_000, Total: 80_000_000}, nil)
	tb.await("the pull", "document.querySelector('progress').value === 10000000")
	// A bar that is replaced cannot move smoothly.
	tb.do(chromedp.Evaluate[chromedp.Void]("window.bar = document.querySelector('progress'); void document.getElementById('client-2').click()"))
	s.set(page.State{Status: page.Starting, Phase: page.Pulling, Image: image, Read: 60_000_000, Total: 80_000_000}, nil)
	tb.await("the bar to move", "window.bar.isConnected && window.bar.value === 60000000 && window.bar.position === 0.75")
	tb.holds("60.0 of 80.0 MB")
	s.set(launching, nil)
	tb.await("the start of the server", "document.querySelector('[aria-current=step]').innerText === 'Start'")
	s.set(serving, weather())
	tb.await("the server", "document.querySelector('h1').innerText === 'Weather'")
	tb.holds("Serving", "get_forecast", "version 1.4.0")
	if title := evaluate[string](tb, "document.title"); title != "Weather · FastMCP Runner" {
		t.Errorf("the title is %q", title)
	}
	if !evaluate[bool](tb, "document.getElementById('client-2').checked") {
		t.Error("the page has forgotten which client was chosen")
	}
	// A server that serves is not asked again, until somebody looks.
	before := len(tb.asked())
	s.set(failing, nil)
	tb.do(chromedp.Evaluate[chromedp.Void]("void document.dispatchEvent(new Event('visibilitychange'))"))
	tb.await("the failure", "document.querySelector('h1').innerText === 'weather does not start'")
	tb.holds("No module named 'wheather'")
	if asked := len(tb.asked()) - before; asked != 1 {
		t.Errorf("the page was asked for %d times, want once", asked)
	}
	s.set(serving, weather())
	tb.await("the recovery", "document.querySelector('h1').innerText === 'Weather'")
}

// TestThePageWorksWithoutScripts sees a start as a browser does that runs no
// scripts: it loads the page anew until the server is there.
func TestThePageWorksWithoutScripts(t *testing.T) {
	t.Parallel()
	s := newStage(t, locked(), pulling, nil)
	tb := newTab(t, desk)
	tb.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	tb.goTo(s.url)
	tb.holds("weather is starting", "52.1 of 128.4 MB", "claude mcp add --transport http weather")
	if body := tb.text(); strings.Contains(body, "Copy") {
		t.Errorf("there are buttons that do nothing:\n%s", body)
	}
	s.set(serving, weather())
	tb.await("the server", "document.querySelector('h1').innerText === 'Weather'")
	tb.holds("Serving", "JavaScript is needed")
	if evaluate[bool](tb, "document.getElementById('unlock').checkVisibility()") {
		t.Error("there is a form that does nothing")
	}
}

// TestALostRunnerIsSaid: the page says so when nobody answers.
func TestALostRunnerIsSaid(t *testing.T) {
	t.Parallel()
	s := newStage(t, page.Options{}, launching, nil)
	tb := open(t, s.url, desk)
	// What a platform answers for a container that is not there.
	tb.do(chromedp.Evaluate[chromedp.Void]("void (window.fetch = async () => new Response('no such application', {status: 503}))"))
	tb.await("the notice", "document.getElementById('said').innerText.includes('does not answer')")
	tb.holds("weather is starting")
}

func TestToolsCanBeFiltered(t *testing.T) {
	t.Parallel()
	tb := open(t, newStage(t, page.Options{}, serving, many()).url, desk)
	const shown = "[...document.querySelectorAll('.tools > li')].filter((tool) => tool.checkVisibility()).length"
	if got := evaluate[int](tb, shown); got != 43 {
		t.Fatalf("%d tools are shown, want 43", got)
	}
	for _, tt := range []struct {
		typed string
		want  int
	}{{"station_3", 10}, {"STATION_31", 1}, {"coordinates", 1}, {"no such tool", 0}} {
		tb.enter("filter", tt.typed)
		if got := evaluate[int](tb, shown); got != tt.want {
			t.Errorf("%q: %d tools are shown, want %d", tt.typed, got, tt.want)
		}
	}
	tb.holds("No tool matches.")
}
