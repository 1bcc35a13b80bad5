package extract_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheWayToAMountStaysADirectory(t *testing.T) {
	t.Parallel()
	before := []string{"run/secrets/", "run/secrets/token = mine", "mnt/a b/", "mnt/beside = old"}
	for name, layers := range map[string][][]entry{
		"trap 35: a link in its place is left out": {{
			symlink("run", "/var/run"), file("run/pid", "1"), symlink("mnt", "/srv"),
		}},
		"trap 35: a file in its place is left out": {{
			file("run", "evil"), file("mnt", "evil"), file("var/run/pid", "1"),
		}},
		"trap 35: a whiteout leaves it": {{
			dir("run"), dir("mnt"), file("var/run/pid", "1"),
		}, {
			file(".wh.run", ""), file("mnt/.wh..wh..opq", ""),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := options()
			opts.Mounted = []string{"run/secrets", "mnt/a b"}
			opts.Wanted = func(p string) bool { return p != "run/secrets" && p != "mnt/a b" }
			root, _, err := run(t, before, image(t, layers...), opts)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				"run": "dir 0755", "run/secrets": "dir 0755", "run/secrets/token": "file 0644 mine",
				"mnt": "dir 0755", "mnt/a b": "dir 0755", "mnt/beside": "file 0644 old",
				"var": "dir 0755", "var/run": "dir 0755", "var/run/pid": "file 0644 1",
			}
			if diff := cmp.Diff(want, dump(t, root)); diff != "" {
				t.Errorf("the tree differs (-want +got):\n%s", diff)
			}
		})
	}
}
