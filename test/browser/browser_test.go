// Package browser_test looks at the page in a real browser, headless Chromium:
// what it shows and does, and that it asks nobody but its own server.
package browser_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/drengskapur/fastmcp-runner/test/program"
)

// screenshots is where pictures of the page are put, for people to look at.
var screenshots = flag.String("screenshots", "", "the `directory` for screenshots")

// chromium is the browser that all tests share; nil without one.
var chromium context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run starts the browser, runs the tests, and leaves nothing behind.
func run(m *testing.M) (code int, err error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return program.RunTests(m), nil // the tests say what they miss
	}
	home, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	elsewhere, closeElsewhere := openElsewhere()
	defer closeElsewhere()
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(home), chromedp.Flag("headless", true), chromedp.Flag("no-sandbox", true),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		// No name leads out of this machine.
		chromedp.Flag("host-resolver-rules", "MAP * "+elsewhere+", EXCLUDE 127.0.0.1, EXCLUDE localhost"), chromedp.IgnoreCertErrors,
	)
	defer stop()
	ctx, closeBrowser := chromedp.NewContext(allocator)
	defer closeBrowser()
	if err := chromedp.Do(ctx); err != nil {
		return 0, fmt.Errorf("cannot start chromium: %w", err)
	}
	chromium = ctx
	return program.RunTests(m), nil
}
