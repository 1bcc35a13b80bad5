package program

// What the fuzz targets feed with hostile bytes.
var (
	ParseELF     = parseELF
	ParseShebang = parseShebang
)

// EnvCommand is the command that a first line has env(1) run.
func EnvCommand(line shebang) string { return line.envCommand() }

// Text is the first line itself.
func Text(line shebang) string { return line.text }
