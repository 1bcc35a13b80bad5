package image

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
