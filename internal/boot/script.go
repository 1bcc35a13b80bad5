package boot

import (
	"context"
	"fmt"
	"io"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// PlanImage plans the launch of the configured image without fetching a layer.
func PlanImage(ctx context.Context, cfg *config.Config, opts Options) (launch.Plan, error) {
	img, err := Resolve(ctx, cfg, opts)
	if err != nil {
		return launch.Plan{}, err
	}
	return planBelowRoot(img.Config, cfg, opts)
}

// PlanConfig plans the launch of an OCI image config, a JSON document as
// crane config or skopeo inspect --config print it.
func PlanConfig(doc io.Reader, cfg *config.Config, opts Options) (launch.Plan, error) {
	content, err := io.ReadAll(io.LimitReader(doc, image.MaxConfigBytes+1))
	if err != nil {
		return launch.Plan{}, fmt.Errorf("cannot read the image config: %w", err)
	}
	if len(content) > image.MaxConfigBytes {
		return launch.Plan{}, fmt.Errorf("cannot read the image config: longer than %d bytes", image.MaxConfigBytes)
	}
	said, err := image.ParseConfig(content)
	if err != nil {
		return launch.Plan{}, fmt.Errorf("cannot read the image config: not an OCI image config: %w", err)
	}
	return planBelowRoot(said, cfg, opts)
}

func planBelowRoot(said *image.Config, cfg *config.Config, opts Options) (launch.Plan, error) {
	root, err := openRoot(cfg)
	if err != nil {
		return launch.Plan{}, err
	}
	defer root.Close()
	tellOverruled(cfg, opts)
	return planLaunch(said, cfg, opts, root)
}
