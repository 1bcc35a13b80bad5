package boot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func TestHiddenVolumes(t *testing.T) {
	t.Parallel()
	var mounts []host.Mount
	for _, point := range []string{
		"/", "/proc", "/dev/shm", "/sys/fs/cgroup", "/etc/hosts", "/data", "/data/nested", "/models", "/srv", "/srv/root/cache", "/srv/rooted",
	} {
		mounts = append(mounts, host.Mount{Point: point})
	}
	for _, test := range []struct {
		name string
		way  host.Way
		root string
		want []string
	}{
		{"in place all is seen", host.WayInPlace, "/", nil},
		{"a mount namespace shows /data", host.WayMount, "/.fastmcp-runner/rootfs", []string{"/models", "/srv", "/srv/root/cache", "/srv/rooted"}},
		{"so does a user namespace", host.WayNamespace, "/elsewhere", []string{"/models", "/srv", "/srv/root/cache", "/srv/rooted"}},
		{"chroot does not", host.WayChroot, "/elsewhere", []string{"/data", "/data/nested", "/models", "/srv", "/srv/root/cache", "/srv/rooted"}},
		{"what holds the root or lies in it is seen", host.WayMount, "/srv/root", []string{"/models", "/srv/rooted"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := boot.HiddenVolumes(mounts, test.way, test.root)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the hidden volumes differ (-want +got):\n%s", diff)
			}
		})
	}
}
