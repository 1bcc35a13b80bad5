package inflate_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// A pipeline takes blocks from a pool, fills them and passes them on.
func ExampleReader_Fill() {
	source := bytes.NewReader(slices.Concat(header(0), hello()))
	z := inflate.NewReader(source)
	block := new(inflate.Block)
	for {
		err := z.Fill(block)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%s", block.Bytes())
	}
	// Output: so much, and so much more of the same
}
