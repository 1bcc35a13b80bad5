package main

import (
	"context"
	"io"
)

func (b *bench) writeGrowth(ctx context.Context, w io.Writer) error { return nil }
