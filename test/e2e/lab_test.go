// Package e2e_test runs the runner's own image in a real container engine, on
// real servers that come from a real registry. It knows the runner only as its
// users do: by its variables, its log, its exit status and the server that it
// becomes.
//
// The engine is the one that DOCKER_HOST names, or the usual one of this
// machine; where none answers, the tests start dockerd for themselves. It must
// be on this machine, because the containers share its network.
package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// setupTimeout bounds what happens once per run. The first run of all
// downloads a Debian and the packages of the servers, and keeps them.
const setupTimeout = 8 * time.Minute

// errNoEngine says that there can be no container here.
var errNoEngine = errors.New("no container engine")

// theLab is opened by the first test that needs it and closed by TestMain.
var theLab sharedLab

func TestMain(m *testing.M) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		os.Exit(closeTheLab(130))
	}()
	os.Exit(closeTheLab(m.Run()))
}

// closeTheLab returns the exit status that is due after it.
func closeTheLab(status int) int {
	if err := theLab.close(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot clean up after the tests:", err)
		return max(status, 1)
	}
	return status
}

// sharedLab is opened at most once and closed at most once.
type sharedLab struct {
	opened, closed sync.Once
	lab            *lab
	err            error
}

func (s *sharedLab) open() (*lab, error) {
	s.opened.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		s.lab, s.err = newLab(ctx)
	})
	return s.lab, s.err
}

// close waits if the laboratory is just being opened, and keeps it from being
// opened again.
func (s *sharedLab) close() error {
	s.opened.Do(func() { s.err = errors.New("the tests are over") })
	var err error
	s.closed.Do(func() {
		if s.lab != nil {
			err = s.lab.close()
		}
	})
	return err
}

// lab is what all tests share: the engine with the runner's image, the
// registry, and the images to be run, each made when first asked for.
type lab struct {
	dir     string
	engine  engine
	store   *store
	closers []func() error

	greeterProgram func() (string, error)
	probeProgram   func() (string, error)
	spyProgram     func() (string, error)
	python         func() (python, error)

	greeter      func() (v1.Image, error)
	probe        func() (v1.Image, error)
	spy          func() (v1.Image, error)
	sitePackages func() (v1.Image, error)
	venv         func() (v1.Image, error)
	node         func() (v1.Image, error)
	whole        wholeImages
}

// openLab returns the shared laboratory, or ends the test where there cannot
// be one.
func openLab(t *testing.T) *lab {
	t.Helper()
	l, err := theLab.open()
	if errors.Is(err, errNoEngine) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newLab(ctx context.Context) (*lab, error) {
	dir, err := os.MkdirTemp("", "runner-e2e-") // short: it holds sockets, whose paths are bounded, see unix(7)
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, closers: []func() error{func() error { return os.RemoveAll(dir) }}}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lab) open(ctx context.Context) error {
	eng, stop, err := findEngine(ctx, filepath.Join(l.dir, "engine"))
	if err != nil {
		return err
	}
	l.engine = eng
	l.closers = append(l.closers, stop)

	l.store, err = startStore(ctx, filepath.Join(l.dir, "registry"))
	if err != nil {
		return err
	}
	l.closers = append(l.closers, l.store.stop)

	if err := l.buildRunner(ctx); err != nil {
		return err
	}
	l.closers = append(l.closers, l.removeImages)
	l.greeterProgram = sync.OnceValues(func() (string, error) { return l.buildStatic("greeter", "./examples/greeter") })
	l.probeProgram = sync.OnceValues(func() (string, error) { return l.buildStatic("probe", "./test/e2e/probe") })
	l.spyProgram = sync.OnceValues(func() (string, error) { return l.buildStatic("spy", "./test/e2e/spy") })
	l.python = sync.OnceValues(l.installPython)
	l.greeter = sync.OnceValues(l.buildGreeter)
	l.probe = sync.OnceValues(l.buildProbe)
	l.spy = sync.OnceValues(l.buildSpy)
	l.sitePackages = sync.OnceValues(l.buildSitePackages)
	l.venv = sync.OnceValues(l.buildVenv)
	l.node = sync.OnceValues(l.buildNode)
	l.whole = newWholeImages(l)
	return nil
}

// close undoes what open did, last things first.
func (l *lab) close() error {
	var errs []error
	for _, undo := range slices.Backward(l.closers) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}
