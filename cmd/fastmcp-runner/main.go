// Command fastmcp-runner turns a container into the MCP server of another
// image: it pulls the image that IMAGE names, lays its files down, drops its
// privileges and becomes the image's program.
package main

import (
	"os"

	// The roots of trust for an image that holds nothing but the program; a
	// system's own come first.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/drengskapur/fastmcp-runner/internal/cli"
)

// version is set by the linker in a release build.
var version = "devel"

func main() {
	os.Exit(cli.Main(cli.Process{
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Version: version,
	}))
}
