#!/bin/bash
# SPDX-License-Identifier: MIT
# Usage: headers.sh INCLUDE_DIR WORK_DIR. Every public header, with both compilers and in
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
mapfile -t reversed < <(printf '%s\n' "${headers[@]}" | tac)
echo "1..$((${#compilers[@]} * 3))"

# one COMPILER BEFORE HEADERS FLAG...: a translation unit with HEADERS, a list, each twice.
one()
{
	local compiler=$1 before=$2 list=$3

	shift 3
	# shellcheck disable=SC2086 # lists of words
	{
		echo "$before"
		printf '#include <%s>\n' $list $list
	} >"$work/one.c"
	# shellcheck disable=SC2086
	$compiler "${flags[@]}" "$@" "$work/one.c" 2>"$work/messages" && return
	echo "# $list"
	sed 's/^/# /' "$work/messages"
	return 1
}

# Each header by itself, for what it forgot to include: the same in every language of a compiler but
# C++. So the other languages have all at once, forwards and backwards.
compile()
{
	local compiler=$1 before=$2 list status=0 lists=("${headers[*]}" "${reversed[*]}")

	shift 2
	case $compiler in
	"gcc -std=c11" | "clang++ "*) lists=("${headers[@]}") ;;
	esac
	for list in "${lists[@]}"; do
		one "$compiler" "$before" "$list" "$@" || status=1
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
	report "every header compiles: $compiler" "$compiler" ''
	report "A7_every_header_compiles_switched_off: $compiler" "$compiler" '' -DDMABUF_DISABLED
	report "every header compiles beside linux/dma-buf.h: $compiler" "$compiler" \
		'#include <linux/dma-buf.h>'
done
