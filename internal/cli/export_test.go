package cli

import (
	"errors"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// What the tests of the progress need, which scripts cannot show: time.
var (
	ShowProgress = showProgress
	DrawProgress = drawProgress
)

// PassOn returns what the next process reads of a plan that this one writes.
func PassOn(plan launch.Plan) (launch.Plan, error) {
	f, err := keep("order", order{Plan: plan})
	if err != nil {
		return launch.Plan{}, err
	}
	var o order
	err = recall(f, &o)
	return o.Plan, errors.Join(err, f.Close())
}

// SessionsFor returns how many sessions there is room for.
var SessionsFor = sessionsFor

// LimitMemory sets the garbage collector's limit.
var LimitMemory = limitMemory

// Masked is masked.
func Masked(cfg *config.Config) []string { return masked(cfg) }

// HostOf returns how an address is reached.
var HostOf = hostOf
