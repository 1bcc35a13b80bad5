package extract

// Hint returns the hint that goes with the error.
func (e *WriteError) Hint() string { return e.hint() }
