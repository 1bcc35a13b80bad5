package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestTheTokenShowsTheTools(t *testing.T) {
	t.Parallel()
	s := newStage(t, locked(), serving, weather())
	tb := open(t, s.url, phone)
	if body := tb.text(); strings.Contains(body, "get_forecast") || strings.Contains(body, "Ask for a forecast") {
		t.Fatalf("the tools are shown without the token:\n%s", body)
	}
	tb.enter("bearer", "simsim"+kb.Enter)
	tb.await("the refusal", "document.getElementById('refusal').innerText === 'This is not the token.'")
	tb.enter("bearer", " sesame "+kb.Enter)
	tb.await("the tools", "document.querySelector('.tools code')?.innerText === 'get_forecast'")
	tb.holds("Ask for a forecast", "required")
	tb.shoot("token-given")
	if got := evaluate[string](tb, "document.activeElement.id"); got != "tools" {
		t.Errorf("the focus is on %q, want the tools", got)
	}
	// It still has the token when it looks again, and only in memory.
	s.set(failing, weather())
	tb.do(chromedp.Evaluate[chromedp.Void]("void document.dispatchEvent(new Event('visibilitychange'))"))
	tb.await("the failure", "document.querySelector('.pill').innerText === 'Failing'")
	tb.holds("get_forecast", "YOUR_TOKEN")
	if kept := evaluate[string](tb, "location.href + document.cookie + JSON.stringify({...localStorage, ...sessionStorage}) + document.documentElement.outerHTML"); strings.Contains(kept, "sesame") {
		t.Error("the token is kept in the page")
	}
	sent := 0
	for _, request := range tb.asked() {
		if strings.Contains(request.URL, "sesame") || strings.Contains(request.URL, "simsim") {
			t.Errorf("the token is in the URL %s", request.URL)
		}
		if fmt.Sprint(request.Headers["Authorization"]) == "Bearer sesame" {
			sent++
		}
	}
	if sent != 2 {
		t.Errorf("the token was sent %d times, want 2", sent)
	}
}
