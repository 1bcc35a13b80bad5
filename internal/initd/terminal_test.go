package initd_test

import (
	"bufio"
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestChildHasTheTerminal(t *testing.T) {
	t.Parallel()
	terminal, side := openTerminal(t)
	cmd := scenario{stopSignal: "SIGQUIT"}.command(t)
	cmd.Stdin, cmd.Stdout = side, side
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p := &process{t: t, cmd: cmd, stdout: bufio.NewReader(terminal)}
	cmd.Stderr = &p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.expect("ready\r")
	// Ctrl-C, which the child alone gets, and as what it is. Were it passed on
	// as well, SIGQUIT would come next.
	for range 2 {
		typeIn(t, terminal, "\x03")
		p.expect("^CSIGINT\r")
	}
	// From outside, it is the platform that asks to stop.
	p.send(unix.SIGINT)
	p.expect("SIGQUIT\r")
	typeIn(t, terminal, "\x04") // the end of input
	if err := cmd.Wait(); err != nil {
		t.Errorf("the init: %v\n%s", err, p.stderr.String())
	}
}

func typeIn(t *testing.T, terminal *os.File, keys string) {
	t.Helper()
	if _, err := terminal.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// openTerminal returns both sides of a new pseudoterminal (pty(7)): the one of
// the person, and the one of the programs.
func openTerminal(t *testing.T) (terminal, side *os.File) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	if err := unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	side, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = side.Close() })
	return terminal, side
}
