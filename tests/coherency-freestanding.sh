#!/bin/sh
# SPDX-License-Identifier: MIT
# coherency-freestanding.sh ARCHIVE SOURCE...: the archive asks for nothing but what a freestanding
# compiler may ask for, and the sources include nothing but what it brings.
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
	others=$(echo "$symbols" | awk '$1 == "U" { print $2 }' |
		grep -vxE 'memcpy|memmove|memset|memcmp')
else
	others="nm failed"
fi
report 1 C3_the_core_needs_no_c_library "$others"
headers=$(grep -hE '^#[[:space:]]*include' "$@" |
	grep -vE '<std(int|bool|def)\.h>|"coherency\.h"')
report 2 C3_the_core_includes_freestanding_headers_only "$headers"
exit $failed
