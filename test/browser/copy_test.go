package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestCopyButtons presses each button. The browser has one clipboard, so that
// this is one test.
func TestCopyButtons(t *testing.T) {
	t.Parallel()
	tb := open(t, newStage(t, locked(), serving, weather()).url, desk)
	tb.do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(tb.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
			BrowserContextID: chromedp.FromContext(tb.ctx).BrowserContextID,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Without HTTPS, and off this machine, a browser has no clipboard for scripts.
	for _, without := range []string{"", "Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})"} {
		for _, id := range []string{"endpoint", "code-0", "code-1", "code-2", "code-3", "code-4"} {
			tb.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`delete navigator.clipboard; navigator.clipboard.writeText('nothing'); %s;
				document.getElementById('%s'.replace('code', 'client'))?.click(); void 0`, without, id)))
			tb.do(chromedp.Click(chromedp.CSS("[data-copy=" + id + "]")))
			tb.await("the word", fmt.Sprintf("document.querySelector('[data-copy=%s]').innerText === 'Copied'", id))
			want := evaluate[string](tb, fmt.Sprintf("document.getElementById('%s').textContent", id))
			got := evaluate[string](tb, "delete navigator.clipboard && navigator.clipboard.readText()")
			if got != want || !strings.Contains(got, "/mcp") {
				t.Errorf("%s, %q: copied %q, want %q", id, without, got, want)
			}
		}
	}
}
