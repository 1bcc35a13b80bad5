package front

import "time"

// MaxWaiting is how many clients may wait.
const MaxWaiting = maxWaiting

// AwaitWaiting waits until so many clients wait.
func AwaitWaiting(l *Lobby, n int64) {
	for l.waiting.Load() != n {
		time.Sleep(time.Millisecond)
	}
}
