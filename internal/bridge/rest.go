package bridge

import (
	"runtime"
	"runtime/debug"
	"time"
)

// restTime is after how long without sessions the bridge gives memory back.
const restTime = 10 * time.Second

// rest gives memory back to the system when there is nothing to do: a Go
// program that allocates nothing looks for garbage every two minutes only, and
// keeps much of what it finds. The zero value is awake.
type rest struct{ timer *time.Timer }

// begin notes that there are no sessions.
func (r *rest) begin() {
	r.end()
	r.timer = time.AfterFunc(restTime, giveBack)
}

// end notes that there is a session, or that there will be none again.
func (r *rest) end() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// giveBack gives back what is garbage. It collects twice, because the first
// collection spares what lies in pools.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}
