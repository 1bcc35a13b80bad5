package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// maxText bounds one text of the kernel. The longest is mountinfo, with a
// kilobyte a line where an overlay has many layers.
const maxText = 16 << 20

// texts reads the files by which the kernel tells of itself.
type texts struct{ files fs.FS }

// read returns the text of a file, given by its absolute path.
func (t texts) read(name string) (string, error) {
	text, err := t.readAll(name)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", name, withoutPath(err))
	}
	return text, nil
}

func (t texts) readAll(name string) (string, error) {
	f, err := t.files.Open(strings.TrimPrefix(name, "/"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(text) > maxText {
		err = fmt.Errorf("longer than %d bytes", maxText)
	}
	return string(text), err
}

// exists reports whether there is a file of that name.
func (t texts) exists(name string) bool {
	_, err := fs.Stat(t.files, strings.TrimPrefix(name, "/"))
	return err == nil
}

// withoutPath is the cause of an error whose path our own message names.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
