package image

// HintedError is a cause that knows what may help.
type HintedError struct {
	// Text is the cause, and Help what may help; empty for nothing.
	Text, Help string
}

func (e *HintedError) Error() string { return e.Text }

// Hint returns what may help.
func (e *HintedError) Hint() string { return e.Help }

// maxQuotedRunes is how much of a text from outside an error shows.
const maxQuotedRunes = 200

// Abbreviate cuts a text from outside to what an error may show of it.
func Abbreviate(s string) string {
	runes := []rune(s)
	if len(runes) <= maxQuotedRunes {
		return s
	}
	return string(runes[:maxQuotedRunes]) + "..."
}
