#!/bin/sh
# SPDX-License-Identifier: MIT
# constraints-freestanding.sh ARCHIVE SOURCE...: the solver goes into kernel modules as it is. It is
# several objects, which may ask for each other: they are made one first.
. "$(dirname "$0")/freestanding.sh"
archive=$1
shift
one=$(mktemp)
trap 'rm -f "$one"' EXIT
ld -r --whole-archive "$archive" -o "$one"
needs_no_c_library F1_the_solver_needs_no_c_library "$one"
report F1_the_solver_includes_freestanding_headers_only "$(grep -hE '^#[[:space:]]*include' "$@" |
	grep -vE '<std(int|bool|def)\.h>|"constraints\.h"|<dmabuf/(stubs/)?[a-z-]+\.h>')"
finish
