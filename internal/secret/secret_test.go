package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

func TestAValueNeverPrints(t *testing.T) {
	t.Parallel()
	hush := secret.New("hunter22")
	type exported struct{ S secret.Value }
	type hidden struct{ s secret.Value }
	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&printed, verb+verb+verb+verb+"\n", hush, &hush, exported{hush}, hidden{hush})
	}
	encoded, err := json.Marshal(exported{hush})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(encoded)
	slog.New(slog.NewTextHandler(&printed, nil)).Info("m", "s", hush, "e", exported{hush}, "h", hidden{hush})
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("m", "s", hush, "e", exported{hush}, "h", hidden{hush})
	fmt.Fprint(&printed, hush.String(), hush.GoString())
	for _, form := range []string{"hunter22", fmt.Sprintf("%x", "hunter22"), fmt.Sprintf("%X", "hunter22")} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("%q is printed:\n%s", form, printed.String())
		}
	}
	if got := hush.Reveal(); got != "hunter22" {
		t.Errorf("Reveal() = %q", got)
	}
}

func TestTheZeroValueIsEmpty(t *testing.T) {
	t.Parallel()
	var zero secret.Value
	if !zero.Empty() || zero.Reveal() != "" || zero.String() != "[redacted]" {
		t.Errorf("the zero Value is %q and prints %q", zero.Reveal(), zero.String())
	}
}

func TestValuesCompareAsTheirTextsDo(t *testing.T) {
	t.Parallel()
	for _, texts := range [][2]string{{"a", "a"}, {"a", "b"}, {"", "a"}, {"", ""}} {
		if got := secret.New(texts[0]) == secret.New(texts[1]); got != (texts[0] == texts[1]) {
			t.Errorf("the Values of %q and %q are equal: %t", texts[0], texts[1], got)
		}
	}
}
