package main

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// decodeArg makes this program the one that measures a decoder.
const decodeArg = "decode"

// decodeJob is what it decodes, and by what.
type decodeJob struct {
	Decoder string
	Blobs   []string
}

func decoders() map[string]func([]byte) error {
	return map[string]func([]byte) error{"inflate": decodeInflate, "klauspost": decodeKlauspost, "standard": decodeStandard}
}

// decoder decompresses all layers one after the other in one thread.
func (b *bench) decoder(title, name string, ls layers) contestant {
	return contestant{name: title, run: func(ctx context.Context, l lap) (usage, error) {
		job := decodeJob{Decoder: name}
		for _, blob := range ls {
			job.Blobs = append(job.Blobs, blob.File)
		}
		var c cost
		err := l.ask(ctx, job, &c, decodeArg)
		return usage{Wall: c.Wall, CPU: c.CPU}, err
	}}
}

// measureDecoder is the process that measures.
func measureDecoder(in io.Reader, out io.Writer) error {
	var job decodeJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return err
	}
	decode, ok := decoders()[job.Decoder]
	if !ok {
		return fmt.Errorf("no decoder %q", job.Decoder)
	}
	blobs, err := readFiles(job.Blobs)
	if err != nil {
		return err
	}
	c, err := timed(func() error {
		for _, blob := range blobs {
			if err := decode(blob); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(c)
}

func decodeInflate(blob []byte) error {
	z := inflate.NewReader(bytes.NewReader(blob))
	for block := new(inflate.Block); ; {
		if err := z.Fill(block); err != nil {
			return ignoreEOF(err)
		}
	}
}

// ignoreEOF takes the end for no error.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func decodeKlauspost(blob []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		return err
	}
	return drain(z)
}

func decodeStandard(blob []byte) error {
	z, err := stdgzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		return err
	}
	return drain(z)
}

// drain reads to the end in large pieces.
func drain(r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 512<<10)) // Without WriteTo and ReadFrom.
	return err
}
