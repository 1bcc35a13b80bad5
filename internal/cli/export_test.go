package cli

// What the tests of the progress need, which scripts cannot show: time.
var (
	ShowProgress = showProgress
	DrawProgress = drawProgress
)
