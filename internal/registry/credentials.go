package registry

import "log/slog"

const redacted = "[redacted]"

// Secret is text that prints as [redacted].
type Secret string

// String returns [redacted].
func (Secret) String() string { return redacted }

// GoString returns [redacted].
func (Secret) GoString() string { return redacted }

// LogValue returns [redacted].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns [redacted].
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Credentials are what a person gives for a registry.
type Credentials struct {
	Username string
	Password Secret
}

// login is all that can prove to a registry or its token server who is asking;
// the zero value asks anonymously.
type login struct {
	username string
	password Secret
	// identityToken is an OAuth 2 refresh token, exchanged at the token server.
	identityToken Secret
	// registryToken is a bearer token, sent to the registry as it is.
	registryToken Secret
}

func (l login) anonymous() bool {
	return l == login{}
}
