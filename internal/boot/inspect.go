package boot

import (
	"context"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/program"
)

// Inspection is what an image is, and whether it would start here, as far as
// its config alone tells.
type Inspection struct {
	Image       string   `json:"image"`
	Digest      string   `json:"digest"`
	Platform    string   `json:"platform"`
	Transport   string   `json:"transport"` // that the server is told to speak
	Command     []string `json:"command,omitempty"`
	User        string   `json:"user"` // ids, or the image's own user as the image names it
	ImageUser   string   `json:"image_user,omitempty"`
	Directory   string   `json:"directory,omitempty"`
	Ports       []string `json:"exposed_ports,omitempty"`
	Environment []string `json:"environment,omitempty"` // names only: values may be secret
	Layers      []Layer  `json:"layers"`
	Size        int64    `json:"size"` // of the compressed layers, in bytes
	Starts      bool     `json:"starts"`
	Reason      string   `json:"reason,omitempty"` // why it would not
	Hint        string   `json:"hint,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
}

// Layer is one layer of an Inspection.
type Layer struct {
	Digest    string `json:"digest"`
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"` // compressed, in bytes
}

// Inspect resolves the image and plans its launch without fetching a layer.
// That it would not start is part of the answer and no error.
func Inspect(ctx context.Context, cfg *config.Config, opts Options) (Inspection, error) {
	root, err := openRoot(cfg)
	if err != nil {
		return Inspection{}, err
	}
	defer root.Close()
	tellOverruled(cfg, opts)
	img, err := Resolve(ctx, cfg, opts)
	if err != nil {
		return Inspection{}, err
	}
	in := Inspection{
		Image:     config.Familiar(cfg.Image),
		Digest:    img.Digest.String(),
		Platform:  img.Platform.String(),
		Transport: string(cfg.Transport),
		User:      userText(img.Config.User, cfg, opts),
		ImageUser: img.Config.User,
		Ports:     img.Config.ExposedPorts,
		Layers:    []Layer{},
		Size:      totalSize(img),
	}
	for _, l := range img.Layers {
		d := l.Descriptor()
		in.Layers = append(in.Layers, Layer{Digest: d.Digest.String(), MediaType: d.MediaType, Size: d.Size})
	}
	plan, err := planLaunch(img.Config, cfg, opts, root)
	if err == nil {
		taken := takenFrom(ctx, cfg, opts, allowed(cfg))
		plan.Warnings = slices.Concat(plan.Warnings, program.Doubts(root, plan, taken))
		in.describe(plan)
		err = program.Early(root, plan, taken)
	}
	in.judge(err)
	if in.Starts && len(in.Ports) == 0 && cfg.Transport != config.Stdio {
		in.Hint = "the image exposes no port: if its server speaks stdio only, MCP_TRANSPORT=stdio has the runner serve it over HTTP"
	}
	return in, nil
}

// userText names whom the server will run as: the image's own user as the image
// does, because only its files tell the ids.
func userText(imageUser string, cfg *config.Config, opts Options) string {
	images, known := imagesUser(imageUser)
	isRoot := known && images.UID == 0
	if cfg.Mode == config.ModeRootfs && !cfg.UserGiven && opts.MayBecome && !isRoot {
		return imageUser
	}
	return expectedUser(imageUser, cfg, opts).String()
}

// allowed is the selection of the configured mode, as package program asks for
// it; nil is the whole image.
func allowed(cfg *config.Config) func(p string) bool {
	if cfg.Mode == config.ModeRootfs {
		return nil
	}
	return layout{wanted: cfg.Allow.Allows}.allows()
}

func (in *Inspection) describe(plan launch.Plan) {
	in.Command, in.Directory, in.Warnings = plan.Argv, plan.Dir, plan.Warnings
	for _, entry := range plan.Env {
		name, _, _ := strings.Cut(entry, "=")
		in.Environment = append(in.Environment, name)
	}
}

// judge sets the verdict: err is why the image would not start.
func (in *Inspection) judge(err error) {
	if err == nil {
		in.Starts = true
		return
	}
	in.Reason = err.Error()
	in.Hint = hint.Of(err)
}
