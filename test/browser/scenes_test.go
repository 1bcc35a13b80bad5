package browser_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// scenes are the states that the page can show.
func scenes() map[string]func(*testing.T) *stage {
	with := func(opts page.Options, state page.State, server *page.Server) func(*testing.T) *stage {
		return func(t *testing.T) *stage {
			t.Helper()
			return newStage(t, opts, state, server)
		}
	}
	return map[string]func(*testing.T) *stage{
		"resolving": with(page.Options{}, resolving, nil), "pulling": with(page.Options{}, pulling, nil), "launching": with(page.Options{}, launching, nil),
		"few": with(page.Options{}, serving, weather()), "many": with(page.Options{}, serving, many()), "token": with(locked(), serving, weather()),
		"failing": with(page.Options{}, failing, nil), "hostile": with(page.Options{}, serving, hostile()),
	}
}

// TestEverySceneInEveryLook shows each state in both colour schemes, at a desk
// and on a phone: all text has the contrast that WCAG 2.2 asks for (AA), and
// nothing is wider than the screen.
func TestEverySceneInEveryLook(t *testing.T) {
	t.Parallel()
	for name, scene := range scenes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := open(t, scene(t).url, desk)
			for _, l := range looks() {
				tb.look(l)
				tb.shoot(name + "-" + l.String())
				tb.checkLook(l)
			}
			if evaluate[bool](tb, "'hit' in window") {
				t.Error("a text of the server has run")
			}
		})
	}
}

//go:embed testdata/contrast.js
var contrastScript string

// checkLook checks the page as it looks now, with the configurations of all
// clients.
func (tb *tab) checkLook(l look) {
	tb.Helper()
	const rule = ".configuration { display: block !important }"
	tb.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("void document.styleSheets[0].insertRule(%q, 0)", rule)))
	if width := evaluate[int64](tb, "document.documentElement.scrollWidth"); width > l.width {
		tb.Errorf("%s: the page is %d pixels wide", l, width)
	}
	for _, low := range evaluate[[]string](tb, contrastScript) {
		tb.Errorf("%s: too little contrast: %s", l, low)
	}
	tb.do(chromedp.Evaluate[chromedp.Void]("void document.styleSheets[0].deleteRule(0)"))
}

// TestLowContrastIsFound shows that the check above can fail, and what it
// counts as large.
func TestLowContrastIsFound(t *testing.T) {
	t.Parallel()
	tb := open(t, newStage(t, page.Options{}, serving, weather()).url, desk)
	tb.do(chromedp.Evaluate[chromedp.Void](`{
		const rule = (text) => document.styleSheets[0].insertRule(text, document.styleSheets[0].cssRules.length);
		rule('h1 { color: rgb(140, 140, 140) }'); rule('.prose { color: rgb(140, 140, 140) }'); rule('.type { opacity: .3 }');
	}`))
	got := strings.Join(evaluate[[]string](tb, contrastScript), "\n")
	for text, want := range map[string]bool{"Weather": false, "Ask for a forecast": true, "integer": true, "get_forecast": false} {
		if strings.Contains(got, text) != want {
			t.Errorf("%q is found: %v, want %v; found:\n%s", text, !want, want, got)
		}
	}
}

// TestThePageIsAccessible looks at the page as assistive technology does.
func TestThePageIsAccessible(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"pulling": {"banner", "main", "contentinfo", "progressbar Pulling the image", "heading weather is starting", "radio Claude Code", "button Copy the URL"},
		"many":    {"banner", "main", "contentinfo", "heading Weather", "region Weather", "region Connect", "region Tools 43", "searchbox Filter the tools"},
		"token":   {"textbox Token", "button Show the tools", "region Tools"},
		"failing": {"alert", "heading Reason"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := open(t, scenes()[name](t).url, desk)
			got := tb.roles()
			for _, role := range want {
				if !slices.Contains(got, role) {
					t.Errorf("there is no %s; there are:\n%s", role, strings.Join(got, "\n"))
				}
			}
			for _, nameless := range []string{"button", "radio", "textbox", "searchbox", "progressbar", "heading", "DisclosureTriangle"} {
				if slices.Contains(got, nameless) {
					t.Errorf("a %s has no name", nameless)
				}
			}
		})
	}
}

// roles returns the roles and names in the accessibility tree.
func (tb *tab) roles() []string {
	tb.Helper()
	return get(tb, func(ctx context.Context, t *chromedp.Target) ([]string, error) {
		tree, err := cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		var list []string
		for _, node := range tree.Nodes {
			if !node.Ignored {
				list = append(list, strings.TrimSpace(valueOf(node.Role)+" "+valueOf(node.Name)))
			}
		}
		return list, err
	})
}

func valueOf(v *accessibility.Value) string {
	var text string
	if v != nil {
		_ = json.Unmarshal(v.Value, &text) // what is no string has no name
	}
	return text
}

// TestEverythingCanBeReachedByKeyboard goes through the page with the Tab key.
func TestEverythingCanBeReachedByKeyboard(t *testing.T) {
	t.Parallel()
	tb := open(t, newStage(t, page.Options{}, serving, weather()).url, desk)
	var reached []string
	for range 12 {
		tb.do(chromedp.KeyEvent(kb.Tab))
		reached = append(reached, evaluate[string](tb, `(() => {
			const e = document.activeElement;
			const shown = e.type === 'radio' ? e.nextElementSibling : e;
			return (e.id || e.getAttribute('aria-label') || e.localName) + ' ' + (getComputedStyle(shown).outlineStyle === 'solid' ? 'visible' : 'invisible');
		})()`))
	}
	got := strings.Join(reached, ", ")
	want := "Copy the URL visible, client-0 visible, Copy the command for Claude Code visible, summary visible, summary visible, summary visible"
	if !strings.HasPrefix(got, want) {
		t.Errorf("the Tab key reaches %s\nwant %s", got, want)
	}
}

func TestNothingMovesForThoseWhoDoNotWantIt(t *testing.T) {
	t.Parallel()
	tb := open(t, newStage(t, page.Options{}, launching, nil).url, desk)
	const moving = `[getComputedStyle(document.querySelector('progress')).animationName, getComputedStyle(document.querySelector('.pill'), '::before').animationName]`
	if got := evaluate[[]string](tb, moving); slices.Contains(got, "none") {
		t.Errorf("animations: %q, want some", got)
	}
	still := desk
	still.still = true
	tb.look(still)
	if got := evaluate[[]string](tb, moving); !slices.Equal(got, []string{"none", "none"}) {
		t.Errorf("with less motion, animations: %q", got)
	}
}
