#!/bin/sh
# SPDX-License-Identifier: MIT
# constraints-freestanding.sh ARCHIVE SOURCE...: as coherency-freestanding.sh, for the solver. Its
# own objects may ask for each other.
archive=$1
failed=0
shift

report()
{
	if [ -z "$3" ]; then
		echo "ok $1 - $2"
	else
		failed=1
		echo "not ok $1 - $2"
		echo "$3" | sed 's/^/# /'
	fi
}

echo 1..2
if symbols=$(nm -u "$archive"); then
	others=$(echo "$symbols" | awk '$1 == "U" { print $2 }' | sort -u |
		grep -vxE 'constraints_[a-z_]+|memcpy|memmove|memset|memcmp')
else
	others="nm failed"
fi
report 1 F1_the_solver_needs_no_c_library "$others"
headers=$(grep -hE '^#[[:space:]]*include' "$@" |
	grep -vE '<std(int|bool|def)\.h>|"constraints\.h"|<dmabuf/(stubs/)?[a-z-]+\.h>')
report 2 F1_the_solver_includes_freestanding_headers_only "$headers"
exit $failed
