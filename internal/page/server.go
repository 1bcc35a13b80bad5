package page

import "encoding/json"

// Server is what a server says of itself. All of it is hostile.
type Server struct {
	// Revision is the revision of MCP that it speaks.
	Revision string
	// Name, Title and Version are those of its implementation.
	Name, Title, Version string
	// Instructions are its advice to language models.
	Instructions string
	// Tools are what it offers. Untold says that it did not list them.
	Tools  []Tool
	Untold bool
}

// Tool is a tool that a server offers.
type Tool struct {
	Name, Title, Description string
	// InputSchema is the JSON schema of its arguments.
	InputSchema json.RawMessage
}
