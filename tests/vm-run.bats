#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How virtual machines are run. What is booted is played: QEMU says what the file $series.says says.

setup()
{
	export T=$BATS_TEST_TMPDIR
	mkdir -p "$T/vm/tests" "$T/bin" "$T/machines"
	cp "$SOURCE_ROOT"/vm/{run,verdict} "$T/vm/"
	echo ': nothing' >"$T/vm/tests/a.sh"
	PATH=$T/bin:$PATH
	export VM_DIR=$T/machines
	play vm/fetch '[ ! -e "$2/$1.no" ] || { echo "vm: no package" >&2; exit 1; }'
	play vm/image ''
	play bin/qemu-system-x86_64 '
while [ "$1" != -initrd ]; do shift; done
name=$(basename "$2" .img)
echo x >>"$T/boots-$name"
cat "$T/$name.says"
[ ! -e "$T/$name.hangs" ] || exec sleep 60'
	for series in 6.1 6.12; do
		says $series 'vm-test: a' 'ok 1 - one' '1..1' 'vm-status: 0' vm-end
	done
}

play()
{
	printf '#!/bin/bash\n%s\n' "$2" >"$T/$1"
	chmod +x "$T/$1"
}

# says SERIES LINE...
says()
{
	local series=$1

	shift
	printf '%s\n' "$@" >"$T/$series.says"
}

@test "H1 the results of both kernels are one plan" {
	run "$T/vm/run"
	[ "$status" -eq 0 ]
	[ "$output" = "ok 1 - 6.1 a: one
ok 2 - 6.12 a: one
1..2" ]
}

@test "H1 a machine that hangs is ended, with words and what it said last" {
	says 6.12 'vm-test: a' 'ok 1 - one' 'what is wrong'
	touch "$T/6.12.hangs"
	VM_SECONDS=2 run "$T/vm/run"
	[ "$status" -eq 1 ]
	[[ $output == *"not ok 3 - 6.12 the machine fell silent in a"* ]]
	[[ $output == *"# said last: what is wrong"* ]]
	[[ $output == *"# 6.12's QEMU: killed: not at its end after 2 s"* ]]
}

@test "H1 a kernel that dies before the first test is tried thrice, and has failed then" {
	says 6.12 'Kernel panic - not syncing'
	run "$T/vm/run"
	[ "$status" -eq 1 ]
	[ "$(wc -l <"$T/boots-6.12")" -eq 3 ]
	[ "$(wc -l <"$T/boots-6.1")" -eq 1 ]
	[[ $output == *"not ok 2 - 6.12 kernel: Kernel panic"* ]]
}

@test "H1 a kernel that cannot be had has failed, with the reason, and the other one runs" {
	touch "$T/machines/6.12.no"
	run "$T/vm/run"
	[ "$status" -eq 1 ]
	[[ $output == *"ok 1 - 6.1 a: one"*"not ok 2 - 6.12: no machine could be made"*"# vm: no package"* ]]
	run "$T/vm/run" -k 6.1
	[ "$status" -eq 0 ]
}

@test "H1 an option that is none is refused" {
	run "$T/vm/run" --nonsense
	[ "$status" -eq 2 ]
}
