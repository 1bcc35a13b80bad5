package inflate

import "fmt"

// CorruptError reports bytes that are not a gzip stream.
type CorruptError struct {
	// Offset counts the compressed bytes that were consumed when the fault was
	// noticed. The fault begins there or a few bytes before.
	Offset int64
	// Reason says what is wrong, in the words of the RFCs.
	Reason string
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("cannot decompress gzip data: %s at compressed byte %d", e.Reason, e.Offset)
}

// The faults that are noticed in more than one place.
const (
	noSymbol = "bits that are no symbol's code"
	tooFar   = "distance that reaches before the beginning"
)

// corrupt returns the error for a fault at the current position.
func (z *Reader) corrupt(reason string) error {
	return &CorruptError{Offset: z.offset(), Reason: reason}
}
