package browser_test

import (
	"fmt"
	"html"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// openElsewhere serves all of the Internet that the browser knows: pages that
// show, in a frame, what their query names. It returns its address.
func openElsewhere() (address string, stop func()) {
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><link rel=icon href=data:,><iframe src="%s" width=600 height=600></iframe>`, html.EscapeString(r.FormValue("frame")))
	}))
	site.Config.ErrorLog = log.New(io.Discard, "", 0) // the browser looks for updates without TLS
	site.StartTLS()
	return site.Listener.Addr().String(), site.Close
}

// TestHuggingFaceMayFrameThePage: a Space is seen in a frame of its page there.
// Nobody else may put the page, with its form for a token, into theirs.
func TestHuggingFaceMayFrameThePage(t *testing.T) {
	t.Parallel()
	s := newStage(t, locked(), serving, weather())
	for parent, want := range map[string]bool{"https://huggingface.co": true, "https://evil.example": false} {
		t.Run(parent, func(t *testing.T) {
			t.Parallel()
			tb := newTab(t, desk)
			if !want {
				tb.expected = "frame-ancestors"
			}
			tb.mu.Lock()
			tb.hosts = append(tb.hosts, strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/"))
			tb.mu.Unlock()
			tb.goTo(parent + "/?frame=" + url.QueryEscape(s.url))
			if got := tb.frameText(); strings.Contains(got, "Weather") != want {
				t.Errorf("the frame shows %q; the page is wanted there: %v", got, want)
			}
		})
	}
}

// frameText returns what is seen in the frame of the page, which is of another
// site and so a target of its own.
func (tb *tab) frameText() string {
	tb.Helper()
	targets, err := chromedp.Targets(tb.ctx)
	if err != nil {
		tb.Fatal(err)
	}
	mine := chromedp.FromContext(tb.ctx).BrowserContextID
	for _, info := range targets {
		if info.Type != "iframe" || info.BrowserContextID != mine {
			continue
		}
		ctx, cancel := chromedp.NewContext(tb.ctx, chromedp.WithTargetID(info.TargetID))
		defer cancel()
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		if err != nil {
			tb.Fatal(err)
		}
		return text
	}
	return ""
}
