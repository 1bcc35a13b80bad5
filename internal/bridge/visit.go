package bridge

import (
	"slices"
	"strconv"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// codeVisitRequired is the error by which servers of 2025-11-25 say that the
// user has to visit URLs before they do what was asked. In 2026-07-28 these are
// questions like others.
const codeVisitRequired = "-32042"

// prerequisites returns what an error asks the client for, if the client can be
// asked. When it has answered it repeats its request as a new one, which most
// likely reaches the same server, see exchanges.keep.
func (x *exchange) prerequisites(m *jsonrpc.Message) map[string]questionText {
	const method = "elicitation/create"
	if string(m.Bytes(m.Field(m.Error, "code"))) != codeVisitRequired || !slices.Contains(x.askable, method) {
		return nil
	}
	questions := map[string]questionText{}
	for i, params := range m.Elements(m.Field(m.Field(m.Error, "data"), "elicitations")) {
		questions["question-"+strconv.Itoa(i+1)] = questionText{method, m.Bytes(params)}
	}
	return questions
}
