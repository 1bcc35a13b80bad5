package registry

import "github.com/drengskapur/fastmcp-runner/internal/secret"

// Credentials are what a person gives for a registry.
type Credentials struct {
	Username string
	Password secret.Value
}

// login is all that can prove to a registry or its token server who is asking;
// the zero value asks anonymously.
type login struct {
	username string
	password secret.Value
	// identityToken is an OAuth 2 refresh token, exchanged at the token server.
	identityToken secret.Value
	// registryToken is a bearer token, sent to the registry as it is.
	registryToken secret.Value
}

func (l login) anonymous() bool {
	return l == login{}
}
