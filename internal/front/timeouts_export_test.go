package front

import (
	"log/slog"
	"net/http"
)

// NewServer is newServer.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server { return newServer(handler, log) }
