package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/image"
)

const maxErrorBytes = 64 << 10

// statusError is an answer that is not the one asked for.
type statusError struct {
	// object is what was asked for: a tag, a digest, a blob, a token.
	object string
	// who answered, in words.
	who string
	// redirected: the registry sent us to whoever answered.
	redirected bool
	code       int
	// reason and message are the registry's own, such as MANIFEST_UNKNOWN.
	reason, message string
	// page: the answer is a web page.
	page bool
	// retryAt is when the registry wants to be asked again; zero: not said.
	retryAt time.Time
}

// newStatusError reads the answer and closes it.
func newStatusError(resp *http.Response, object, who string) *statusError {
	defer discard(resp.Body)
	e := &statusError{object: object, who: who, code: resp.StatusCode, retryAt: retryAfter(resp.Header, time.Now())}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if err == nil { // A body that breaks explains nothing; the status stands.
		e.reason, e.message = diagnose(body)
		e.page = isPage(resp.Header, body)
	}
	return e
}

// diagnose finds the registry's error code and message in an error body, in the
// form of the distribution spec ("Error Codes") or in one of those that token
// servers use.
func diagnose(body []byte) (reason, message string) {
	var doc struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
		Details          string `json:"details"`
		ErrorDescription string `json:"error_description"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return "", ""
	}
	if len(doc.Errors) == 0 {
		return "", doc.Details + doc.ErrorDescription
	}
	return doc.Errors[0].Code, doc.Errors[0].Message
}

func (e *statusError) denied() bool {
	return !e.redirected && (e.code == http.StatusUnauthorized || e.code == http.StatusForbidden)
}

// Error says what it means first and what was answered second.
func (e *statusError) Error() string {
	var b strings.Builder
	b.WriteString(e.meaning())
	fmt.Fprintf(&b, " (%s says %s)", e.who, e.answer())
	if !e.retryAt.IsZero() {
		fmt.Fprintf(&b, "; try again after %s", e.retryAt.UTC().Format(time.RFC3339))
	}
	return b.String()
}

func (e *statusError) meaning() string {
	switch {
	case e.code == http.StatusUnauthorized, e.code == http.StatusForbidden:
		return "access denied"
	case e.code == http.StatusNotFound && e.reason == "NAME_UNKNOWN":
		return "no such image"
	case e.code == http.StatusNotFound:
		return "no such " + e.object
	case e.code == http.StatusTooManyRequests:
		return "too many requests"
	default:
		return "no answer of use"
	}
}

// answer quotes the registry. A 404 is explained by its code alone; elsewhere the
// message tells more than the code.
func (e *statusError) answer() string {
	message := strconv.Quote(image.Abbreviate(e.message))
	switch {
	case e.reason == "" && e.message == "":
		return fmt.Sprintf("%d %s", e.code, http.StatusText(e.code))
	case e.reason == "":
		return message
	case e.message == "" || e.code == http.StatusNotFound:
		return printable(e.reason)
	default:
		return printable(e.reason) + ": " + message
	}
}

// printable returns an error code as it is, or quoted if it is none.
func printable(reason string) string {
	if strings.Trim(reason, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") == "" {
		return image.Abbreviate(reason)
	}
	return strconv.Quote(image.Abbreviate(reason))
}

// retryAfter returns the time that a Retry-After header names, in seconds or as
// a date (RFC 9110, section 10.2.3); zero if it names none.
func retryAfter(h http.Header, now time.Time) time.Time {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return now.Add(time.Duration(seconds) * time.Second)
	}
	if date, err := http.ParseTime(value); err == nil {
		return date
	}
	return time.Time{}
}
