// Package mcpclients takes clients of others through a server at a URL, and
// reports what they got of it. It does not know how the server is served.
//
// The server is @modelcontextprotocol/server-everything, the reference server
// of the MCP project: it uses all that the protocol has.
package mcpclients

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The package of the server, and the version that the tours know.
const (
	EverythingPackage = "@modelcontextprotocol/server-everything"
	EverythingVersion = "2026.8.31"
)

// Feature is a part of the protocol.
type Feature string

// What a tour visits.
const (
	// Tools lists the tools, of which the server has some only for clients
	// that can be asked back.
	Tools Feature = "tools"
	// Call calls a tool.
	Call Feature = "call"
	// Progress calls a tool that tells how far it is.
	Progress Feature = "progress"
	// Resource reads a resource.
	Resource Feature = "resource"
	// Prompt gets a prompt.
	Prompt Feature = "prompt"
	// Log lets the server log something.
	Log Feature = "log"
	// Update waits for news of a resource that the client has subscribed to.
	Update Feature = "update"
	// Sampling, Elicitation and Roots call tools that ask the client back.
	Sampling    Feature = "sampling"
	Elicitation Feature = "elicitation"
	Roots       Feature = "roots"
	// Cancel gives up a call that would take long, and uses the session on.
	Cancel Feature = "cancel"
	// Resume loses its connection during a call, and comes back to it.
	Resume Feature = "resume"
)

// Tour is what a client got, by feature.
type Tour map[Feature]string

// Everything is what a tour through the server is like that leaves out
// nothing but the features named.
func Everything(without ...Feature) Tour {
	tour := Tour{
		Tools:       "echo trigger-elicitation-request trigger-sampling-request",
		Call:        "Echo: " + greeting,
		Progress:    "1/3 2/3 3/3 completed",
		Resource:    "Resource 1: This is a plaintext resource",
		Prompt:      "This is a simple prompt without arguments.",
		Log:         logged,
		Update:      resourceURI,
		Sampling:    sampled,
		Elicitation: elicited,
		Roots:       rootURI,
		Cancel:      "given up, and Echo: " + greeting,
		Resume:      "1/4 2/4 3/4 4/4 completed",
	}
	maps.DeleteFunc(tour, func(f Feature, _ string) bool { return slices.Contains(without, f) })
	return tour
}

// What the clients say, what they ask for, and what all log messages have.
const (
	greeting    = "héllo, 世界"
	logged      = "level"
	sampled     = "what the client's model says"
	elicited    = "Ada Lovelace"
	rootURI     = "file:///home/ada"
	resourceURI = "demo://resource/dynamic/text/1"
)

// steps returns the arguments of a call that tells its progress.
func steps(n int, seconds float64) map[string]any {
	return map[string]any{"duration": seconds, "steps": n}
}

// conditional are the tools that Tools looks for.
func conditional() []string {
	return []string{"echo", "trigger-elicitation-request", "trigger-sampling-request"}
}

// excerpt returns what is looked for, if a text has it, and the text if not.
func excerpt(text, want string) string {
	if strings.Contains(text, want) {
		return want
	}
	return fmt.Sprintf("%q", text)
}
