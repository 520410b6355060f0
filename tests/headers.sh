#!/bin/bash
# SPDX-License-Identifier: MIT
# Usage: headers.sh INCLUDE_DIR WORK_DIR. Every public header by itself, with both compilers and in
# three languages, with all warnings; switched off (row A7); and beside the kernel's.
set -u
include=$1
work=$2
rm -rf "$work"
mkdir -p "$work"

flags=(-Wall -Wextra -Wpedantic -Wconversion -Wundef -Werror -fsyntax-only -I "$include")
compilers=("gcc -std=c11" "gcc -std=c17" "clang -std=c11" "clang -std=c17"
	"g++ -x c++ -std=c++17" "clang++ -x c++ -std=c++17")
mapfile -t headers < <(cd "$include" && ls dmabuf.h dmabuf/*.h)
echo "1..$((${#compilers[@]} * 3))"

# One compiler run for each header, each as its own translation unit.
compile()
{
	local compiler=$1 before=$2 header status=0

	shift 2
	for header in "${headers[@]}"; do
		printf '%s\n#include <%s>\n#include <%s>\n' "$before" "$header" "$header" \
			>"$work/one.c"
		# shellcheck disable=SC2086
		$compiler "${flags[@]}" "$@" "$work/one.c" 2>"$work/messages" || {
			echo "# $header"
			sed 's/^/# /' "$work/messages"
			status=1
		}
	done
	return $status
}

number=0
report()
{
	local name=$1

	shift
	number=$((number + 1))
	if compile "$@"; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
	fi
}

for compiler in "${compilers[@]}"; do
	report "every header compiles by itself: $compiler" "$compiler" ''
	report "A7_every_header_compiles_switched_off: $compiler" "$compiler" '' -DDMABUF_DISABLED
	report "every header compiles beside linux/dma-buf.h: $compiler" "$compiler" \
		'#include <linux/dma-buf.h>'
done
