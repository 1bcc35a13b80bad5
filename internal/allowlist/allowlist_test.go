package allowlist_test

import (
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
)

func TestAllows(t *testing.T) {
	t.Parallel()
	list, err := allowlist.New([]string{"/code", "/usr/local/bin/tool", "/etc/app/"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"app": true, "app/a/b": true, "data/x": true, "home/user": true, "opt": true, "srv/x": true,
		"var/lib/x": true, "var/data": true, "var/log": false, "var": false,
		"usr/lib/python3/dist-packages/x": true, "usr/lib/python3.12/site-packages": true,
		"usr/local/lib/python3.12/site-packages/x": true, "usr/local/lib/python3.12/dist-packages": true,
		"usr/local/lib/python3.12/lib-dynload/x": false, "usr/local/lib/python/3.12/site-packages": false,
		"usr/local/lib/node_modules/x": true, "usr/lib/node_modules": false,
		"bin/sh": false, "etc/passwd": false, "root/x": false, "application": false, "lib": false, "": false,
		"code": true, "code/x": true, "coded": false, "usr/local/bin/tool": true, "usr/local/bin/other": false,
		"etc/app/conf": true,
	} {
		if got := list.Allows(path); got != want {
			t.Errorf("Allows(%q) = %t, want %t", path, got, want)
		}
	}
}

func TestTheZeroListAllowsNothing(t *testing.T) {
	t.Parallel()
	var list allowlist.List
	if list.Allows("app") || list.Allows("") {
		t.Error("the zero List allows something")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"relative":          "not an absolute path",
		"/":                 "the whole image",
		"/x/..":             "the whole image",
		"/usr":              "contains the system directory",
		"/usr/":             "contains the system directory",
		"/etc":              "is or contains the system directory /etc",
		"/app/../bin":       "is or contains the system directory /bin",
		"/usr/lib":          "is or contains the system directory /usr/lib",
		"/var":              "is or contains the system directory /var/run",
		"/root":             "is or contains the system directory /root",
		"/proc/self":        "which the kernel provides",
		"/dev":              "which the kernel provides",
		"/opt/*":            "pattern character",
		"/lib/python[3]/x/": "pattern character",
	} {
		_, err := allowlist.New([]string{path})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%q) = %v, want an error with %q", path, err, want)
		}
	}
}

// FuzzNew asserts that whatever is added, the system stays excluded.
func FuzzNew(f *testing.F) {
	f.Add("/code", "x")
	f.Add("/usr/../etc/", "passwd")
	f.Add("//", "..")
	f.Fuzz(func(t *testing.T, extra, below string) {
		list, err := allowlist.New([]string{extra})
		if err != nil {
			return
		}
		for _, dir := range []string{"", "bin", "sbin", "lib", "lib64", "usr", "usr/bin", "usr/sbin", "usr/lib", "etc", "boot", "root", "proc", "sys", "dev"} {
			if list.Allows(dir) {
				t.Fatalf("with %q the list allows %q", extra, dir)
			}
		}
		for _, dir := range []string{"proc/", "sys/", "dev/"} {
			if list.Allows(dir + below) {
				t.Fatalf("with %q the list allows %q", extra, dir+below)
			}
		}
	})
}
