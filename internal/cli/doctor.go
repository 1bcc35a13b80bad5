package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func doctorCommand(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [IMAGE]",
		Short: "Say what this host allows, and whether an image would start here",
		Long: `Says what this host gives: user, capabilities, namespaces, directories, limits;
and in which way a whole image would run here. With IMAGE, also whether that
image would start, and if not, why and what to set.`,
		Args: cobra.MaximumNArgs(1),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		image, serves := strings.Join(args, ""), config.Nothing
		if image != "" {
			serves = config.Image
		}
		cfg, err := p.parseFor(serves, image)
		if err != nil {
			return err
		}
		opts, err := p.options()
		if err != nil {
			return err
		}
		opts.Log = p.logger(cfg.Secrets()...)
		tellWarnings(opts.Log, cfg)
		if image == "" {
			cfg.Image = nil
		}
		diagnosis, err := boot.Diagnose(cmd.Context(), cfg, opts)
		if err != nil {
			return err
		}
		if cfg.Transport == config.Stdio {
			diagnosis.Sessions = sessionsOf(cfg, diagnosis.Host)
		}
		if *output == "json" {
			return printJSON(p.Stdout, diagnosis)
		}
		return printDiagnosis(p.Stdout, diagnosis)
	}
	return cmd
}

// printDiagnosis prints what a person wants to know of a host.
func printDiagnosis(w io.Writer, d boot.Diagnosis) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	f := d.Host
	rows := slices.Concat(machineRows(f), rightsRows(f), directoryRows(f))
	for _, problem := range f.Problems {
		rows = append(rows, [2]string{"Problem", problem})
	}
	rows = append(rows, [2]string{"Whole image", d.Rootfs.Way.String() + ": " + d.Rootfs.Reason})
	if d.Sessions > 0 {
		rows = append(rows, [2]string{"Stdio sessions", strconv.Itoa(d.Sessions) + " at once"})
	}
	var err error
	for _, row := range rows {
		if row[1] != "" {
			err = errors.Join(err, printf(t, "%s\t%s\n", row[0], row[1]))
		}
	}
	if err := errors.Join(err, t.Flush()); err != nil || d.Image == nil {
		return err
	}
	return errors.Join(printf(w, "\n"), printInspection(w, *d.Image))
}

func machineRows(f host.Facts) [][2]string {
	return [][2]string{
		{"Kernel", kernelText(f)},
		{"Machine", fmt.Sprintf("%s, %d processors, %v of memory", f.Machine.Architecture, f.Machine.CPUs, boot.Size(f.Machine.MemoryBytes))},
		{"Limits", limitsText(f.Limits)},
	}
}

func rightsRows(f host.Facts) [][2]string {
	return [][2]string{
		{"User", fmt.Sprintf("%d:%d, groups %v", f.User.UID, f.User.GID, f.User.Groups)},
		{"Capabilities", capabilitiesText(f.Capabilities)},
		{"No new privileges", f.NoNewPrivs.String()},
		{"Seccomp", f.Seccomp.String()},
		{"User namespaces", f.UserNamespaces.String()},
		{"Mounting", f.Mounting.String()},
		{"Chroot", f.Chroot.String()},
		{"Ptrace", f.Ptrace.String()},
	}
}

func directoryRows(f host.Facts) [][2]string {
	dirs := append([]host.Directory{f.Root, f.Tmp, f.Shm}, f.Directories...)
	rows := make([][2]string, 0, 2+len(dirs))
	rows = append(rows, [2]string{"/proc", presence(f.Proc)},
		[2]string{"Mount points", strings.Join(host.MountPoints(f.Mounts, "/"), " ")})
	for _, dir := range dirs {
		rows = append(rows, [2]string{dir.Path, directoryText(dir)})
	}
	return rows
}

func kernelText(f host.Facts) string {
	text := f.Kernel.Release
	if f.Kernel.GVisor == host.Yes {
		text += " (gVisor)"
	}
	return text
}

// maxNamed is how many capabilities are named: more than Docker grants by
// default.
const maxNamed = 20

func capabilitiesText(sets *host.CapabilitySets) string {
	if sets == nil {
		return "unknown"
	}
	list := func(set host.Capabilities) string {
		names := set.Names()
		switch {
		case len(names) == 0:
			return "none"
		case len(names) > maxNamed:
			return fmt.Sprintf("%d of them, also CAP_SYS_ADMIN: %t", len(names), set.Has(unix.CAP_SYS_ADMIN))
		}
		return strings.ToLower(strings.ReplaceAll(strings.Join(names, " "), "CAP_", ""))
	}
	return "permitted " + list(sets.Permitted) + "; bounding " + list(sets.Bounding)
}

func limitsText(l host.Limits) string {
	text := func(n int64, unit func(int64) string) string {
		switch n {
		case 0:
			return "unknown"
		case host.Unlimited:
			return "none"
		}
		return unit(n)
	}
	return fmt.Sprintf("memory %s, processors %s, processes %s",
		text(l.MemoryBytes, func(n int64) string { return boot.Size(n).String() }),
		text(l.CPUMillis, func(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1000) }),
		text(l.PIDs, func(n int64) string { return strconv.FormatInt(n, 10) }))
}

func directoryText(dir host.Directory) string {
	text := "writable: " + dir.Writable.String()
	if fs := dir.FileSystem; fs != nil && fs.SizeBytes > 0 {
		text += fmt.Sprintf(", %v free", boot.Size(fs.FreeBytes)) //nolint:gosec // no disk is that large
		if fs.InMemory {
			text += " (in memory)"
		}
	}
	return text
}

func presence(there bool) string {
	if there {
		return "there"
	}
	return "missing"
}
