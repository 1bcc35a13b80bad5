#!/bin/sh
# Packs one tree by every tool and in every format, for TestArchivesOfRealTools.
# Needs GNU tar, bsdtar, python3 and setfattr, and a file system with holes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"
mkdir -p d
long=$(printf 'directory-with-a-long-name/%.0s' 1 2 3 4)
mkdir -p "$long"
printf content >d/file
printf long >"${long}$(printf 'n%.0s' $(seq 120))"
ln d/file d/hard
ln -s "$long" d/symlink
printf ü >"d/$(printf '\303\274')"
chmod 4755 d/file
setfattr -n user.a -v 1 d/file
touch -d '2001-02-03 04:05:06.789012345 UTC' d/file
# A hole at the beginning, one at the end, and more fragments than a header of
# the old format has room for.
truncate -s 400K sparse
for i in 1 5 9 13 17 21 25 29 33 37 41 45 49 53 57 61 65 69 73 77 81 85 89 93 97; do
	printf "fragment $i" | dd of=sparse bs=4096 seek=$i conv=notrunc status=none
done
# What a format cannot hold is left out.
pack() { gzip -9n >"$here/$1.tar.gz"; }
for format in v7 ustar oldgnu gnu; do
	case $format in *gnu) sparse=--sparse ;; *) sparse= ;; esac
	{ tar -c $sparse --format=$format . || true; } | pack "gnu-$format"
done
for version in 0.0 0.1 1.0; do
	tar -c --sparse --sparse-version=$version --format=posix --xattrs . | pack "gnu-posix-sparse-$version"
done
for format in v7 ustar pax gnutar; do
	{ bsdtar -c --format=$format . || true; } | pack "bsd-$format"
done
for format in USTAR GNU PAX; do
	python3 -c '
import os, sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=getattr(tarfile, sys.argv[1] + "_FORMAT"))
for dir, dirs, files in os.walk("."):
    for name in dirs + files:
        try:
            t.add(os.path.join(dir, name), recursive=False)
        except ValueError as e:
            print(e, file=sys.stderr)
t.close()' $format | pack "python-$format"
done
