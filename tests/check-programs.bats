#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Checking mode, from outside: programs that keep the rules, and one that does not.
load pipe-util.bash

# Everything that is run, in checking mode; nothing is told.
rules_are_kept()
{
	DMABUF_CHECK=continue,log=$dir/reports timeout 60 "$@"
	[ ! -e reports ] || {
		cat reports
		return 1
	}
}

@test "C4 a pipe of every kind of element keeps the rules" {
	head -c 3000001 /dev/urandom >in
	rules_are_kept "$DMABUF" pipe -q --size 64K \
		file:in ! sha256 ! crc32 ! tee:copy ! "exec:$INVERT" ! count ! "exec:$INVERT" ! file:out
	cmp in out
	rules_are_kept "$DMABUF" pipe -q - ! sha256 ! - <in >piped
	cmp in piped
	rules_are_kept "$DMABUF" pipe -q test:320x240@0,frames=20 ! verify ! null:
	rules_are_kept "$DMABUF" pipe -q "exec:$GRADIENT 20" ! "exec:$BRIGHTNESS"
}

@test "C4 a cast and who catches it keep the rules" {
	rules_are_kept "$DMABUF" cast -q test:320x240@0,frames=20 --wait 2 --socket "$dir/s" &
	cast=$!
	rules_are_kept "$DMABUF" catch -q --on-full block "$dir/s" verify &
	catch=$!
	mkdir shots
	rules_are_kept "$DMABUF" catch -q --on-full block --every 0 "$dir/s" png:shots
	wait "$catch"
	wait "$cast"
	[ ! -e reports ]
}

@test "C4 the examples keep the rules" {
	head -c 300001 /dev/urandom >in
	rules_are_kept "$EXAMPLE_SYNC"
	rules_are_kept "$EXAMPLE_QUEUED" in out
	rules_are_kept "$EXAMPLE_HEAP" 2
}

@test "C4 dmabuf pipe --check names an element that breaks them" {
	run timeout 60 "$DMABUF" pipe --check -q null: ! "exec:$MISUSER touch" ! file:out
	[ "$status" -eq 1 ]
	[[ $output == *'dma-buf check: buffer "pipe '*'thread pipe-misuser ('*') of process pipe-misuser ('*'wrote at offset 0 (0x'*'outside of any CPU access'* ]]
	[[ $output == *"pipe-misuser touch"* ]]
	[ ! -e out ]
}

@test "C4 the words of the environment come before those of --check" {
	DMABUF_CHECK=continue,log=$dir/reports timeout 60 "$DMABUF" pipe --check -q null:frames=1 ! \
		"exec:$MISUSER touch" ! null: &
	until_true test -s reports
	kill %1
	wait || true
	grep -q 'wrote at offset 0 (' reports
}
