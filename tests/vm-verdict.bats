#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What counts as a good run of a virtual machine.

verdict()
{
	run "$SOURCE_ROOT/vm/verdict" 6.1 <<<"$1"
}

good='vm-test: a
ok 1 - one
1..1
vm-status: 0
vm-end'

@test "H1 a machine whose tests passed and that said so is good" {
	verdict "$good"
	[ "$status" -eq 0 ]
	[ "$output" = "ok 1 - 6.1 a: one" ]
}

@test "H1 a serial line ends its lines in its own way" {
	verdict "${good//$'\n'/$'\r\n'}"
	[ "$status" -eq 0 ]
}

@test "H1 a machine that fell silent has failed, and where" {
	verdict "${good%vm-end}"
	[ "$status" -eq 1 ]
	[[ $output == *"not ok 2 - 6.1 the machine fell silent after the last test"* ]]
	verdict "${good%vm-status*}"
	[ "$status" -eq 1 ]
	[[ $output == *"the machine fell silent in a"* ]]
	[[ $output == *"# said last: ok 1 - one"* ]]
	verdict ""
	[ "$status" -eq 1 ]
	[[ $output == *"the machine fell silent before any test"* ]]
}

@test "H1 a failed test is a failure" {
	verdict "${good/ok 1/not ok 1}"
	[ "$status" -eq 1 ]
	[[ $output == "not ok 1 - 6.1 a: one" ]]
}

@test "H1 fewer results than planned, or no plan, is a failure" {
	verdict "${good/1..1/1..2}"
	[ "$status" -eq 1 ]
	[[ $output == *"a: 1 results, planned 2"* ]]
	verdict "${good/1..1/}"
	[ "$status" -eq 1 ]
}

@test "H1 a test that ended badly is a failure" {
	verdict "${good/status: 0/status: 139}"
	[ "$status" -eq 1 ]
	[[ $output == *"a: ended with status 139"* ]]
	verdict "${good/status: 0/status: 143}"
	[[ $output == *"ran out of time"* ]]
}

@test "H1 a kernel that complains on its console is a failure" {
	verdict "${good/1..1/[   3.1] BUG: unable to handle page fault
1..1}"
	[ "$status" -eq 1 ]
	[[ $output == *"kernel: [   3.1] BUG: unable"* ]]
	verdict "[ 0.1] Kernel panic - not syncing: no init"
	[ "$status" -eq 1 ]
}

@test "H1 a machine without tests is a failure" {
	verdict "vm-end"
	[ "$status" -eq 1 ]
}
