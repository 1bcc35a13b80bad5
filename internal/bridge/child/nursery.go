package child

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
)

// Nursery starts children that die with this process.
//
// The kernel ties PR_SET_PDEATHSIG to the thread that forked, not to the
// process (prctl(2)), and a Go program ends a thread whenever a goroutine
// returns that is locked to it. So a Nursery has a thread of its own, which
// stays as long as the Nursery is open.
type Nursery struct {
	births chan birth
	closed chan struct{}
	thread sync.WaitGroup

	mu       sync.Mutex
	children map[int]bool // by pid: those that their Process waits for
}

// birth is a child to be started, and where to say what became of it.
type birth struct {
	command Command
	files   []*os.File
	born    chan<- offspring
}

type offspring struct {
	process *os.Process
	err     error
}

// Open starts the thread of a Nursery. Its owner must call Close when its
// children have ended: those that have not are killed then.
func Open() *Nursery {
	n := &Nursery{births: make(chan birth), closed: make(chan struct{}), children: map[int]bool{}}
	n.thread.Go(n.run)
	return n
}

// Close ends the thread. A Nursery that is closed starts no child.
func (n *Nursery) Close() {
	close(n.closed)
	n.thread.Wait()
}

func (n *Nursery) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for {
		select {
		case b := <-n.births:
			process, err := n.bear(b)
			b.born <- offspring{process, err}
		case <-n.closed:
			return
		}
	}
}

func (n *Nursery) bear(b birth) (*os.Process, error) {
	// Locked, so that Reap sees no child that is not in the list yet.
	n.mu.Lock()
	defer n.mu.Unlock()
	process, err := os.StartProcess(b.command.Path, b.command.Argv, &os.ProcAttr{
		Dir: b.command.Dir, Env: b.command.Env, Files: b.files,
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, err
	}
	n.children[process.Pid] = true
	return process, nil
}

// Children returns how many children run.
func (n *Nursery) Children() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.children)
}

// forget takes a child that was reaped off the list.
func (n *Nursery) forget(pid int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.children, pid)
}

func (n *Nursery) fork(command Command, files []*os.File) (*os.Process, error) {
	born := make(chan offspring, 1)
	select {
	case n.births <- birth{command, files, born}:
		o := <-born
		return o.process, o.err
	case <-n.closed:
		return nil, errors.New("the runner is shutting down")
	}
}
