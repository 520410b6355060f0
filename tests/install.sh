#!/bin/bash
# SPDX-License-Identifier: MIT
# Usage: install.sh SOURCE_ROOT BUILD_ROOT WORK_DIR VERSION. Installs into WORK_DIR and builds
# programs in C and C++ with nothing but pkg-config: against the installed copy, against the build
# tree, and against a copy staged with DESTDIR.
set -u
source=$1
build=$2
work=$3
version=$4
rm -rf "$work"
mkdir -p "$work"
here=$source/tests/install
warnings=(-Wall -Wextra -Wpedantic -Werror)
number=0
echo "1..16"

# check NAME COMMAND...: one line of TAP; what the command said comes before it if it failed.
check()
{
	local name=$1

	shift
	number=$((number + 1))
	if "$@" >"$work/messages" 2>&1; then
		echo "ok $number - $name"
	else
		sed 's/^/# /' "$work/messages"
		echo "not ok $number - $name"
	fi
}

install_into()
{
	DESTDIR=$1 meson install -C "$build" --no-rebuild --quiet
}

# build_and_run COMPILER... SOURCE, with PKG_CONFIG_PATH and the loader's path from the caller.
build_and_run()
{
	local flags

	flags=$(pkg-config --cflags --libs libdmabuf) || return
	# shellcheck disable=SC2086
	"${@:1:$#-1}" "${warnings[@]}" "${@: -1}" $flags -o "$work/program" || return
	LD_LIBRARY_PATH=$libs "$work/program"
}

programs()
{
	local where=$1

	check "a C program runs against $where" build_and_run gcc -std=c11 "$here/program.c"
	check "a C++ program runs against $where" build_and_run g++ -std=c++17 "$here/program.cc"
	check "a driver in the kernel's words runs against $where, in C" \
		build_and_run gcc -std=c11 "$here/kernel-driver.c"
	check "a driver in the kernel's words runs against $where, in C++" \
		build_and_run clang++ -x c++ -std=c++17 "$here/kernel-driver.c"
}

# Where the prefix of the build is not ours, DESTDIR is how packages are made of it.
staged=$work/staged
check "meson install honours DESTDIR" install_into "$staged"
prefix=$staged$(meson introspect --buildoptions "$build" | python3 -c '
import json, sys
print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
pc=$(find "$staged" -name libdmabuf.pc)
libs=$(dirname "$(find "$staged" -name libdmabuf.so)")
check "it has the command, if there is one" test ! -e "$build/cli/dmabuf" -o -x "$prefix/bin/dmabuf"
check "it has the pkg-config file" test -f "$pc"
check "it has the name that the loader wants" test -e "$libs/libdmabuf.so.0"
check "it has the library under its full version" test -f "$libs/libdmabuf.so.$version"
check "it has the stubs and the kernel's spellings" \
	test -f "$prefix/include/dmabuf/stubs/dma-buf.h" -a -f "$prefix/include/dmabuf/kernel.h"
check "it has every public header" \
	diff <(cd "$source/include" && find . -name '*.h' | sort) \
	<(cd "$prefix/include" && find . -name '*.h' | sort)

# Nothing of the source or the build is in reach from here on.
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_SYSROOT_DIR=$staged
check "pkg-config tells the version" test "$(pkg-config --modversion libdmabuf)" = "$version"
programs "the installed copy"

unset PKG_CONFIG_SYSROOT_DIR
PKG_CONFIG_PATH=$build/meson-uninstalled
libs=$build/src
programs "the build tree"
