#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# dmabuf pipe: elements that are killed, at any moment, and pipes that are.
load pipe-util.bash

# start ELEMENT...: a pipe that reads what feed() writes; $pipe is its process. Small buffers, so
# that a little input already goes round the pool.
start()
{
	mkfifo fifo
	"$DMABUF" pipe -q --size 4K --buffers 4 - ! "$@" <fifo 2>err >sums &
	pipe=$!
	exec 7>fifo
}

has_elements()
{
	[ "$(elements "$pipe" | wc -w)" -eq "$1" ]
}

# $1 frames of input are through, or nearly.
feed()
{
	head -c $(($1 * 4096)) /dev/zero >&7
}

# The pipe ends by itself, soon, with status $1.
ends()
{
	local status=0

	until_true not_running "$pipe" || return
	wait "$pipe" || status=$?
	exec 7>&-
	rm -f fifo
	[ "$status" -eq "$1" ] || {
		echo "status $status"
		cat err
		return 1
	}
}

# Gone, or dead and not waited for.
not_running()
{
	! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null
}

kill_each()
{
	local frames=$1 which victim

	for which in 1 2 3 4 5; do
		start sha256 ! tee:copy ! "exec:$INVERT" ! file:out
		until_true has_elements 5
		victim=$(elements "$pipe" | cut -d ' ' -f "$which")
		feed "$frames"
		kill -KILL "$victim"
		ends 1
		grep -q " $which (.*) was killed by SIGKILL" err || {
			cat err
			return 1
		}
		[ ! -s sums ]
		rm err sums
		only_files
		no_process_left
	done
}

@test "any element killed before the first byte ends the pipe, and is named" {
	kill_each 0
}

@test "any element killed after a frame ends the pipe, and is named" {
	kill_each 1
}

@test "any element killed in the stream ends the pipe, and is named" {
	kill_each 100
}

@test "an element killed at the end of the stream ends the pipe without an output" {
	local which victim

	for which in 3 4; do
		start sha256 ! "exec:$MISUSER hold" ! file:out
		until_true has_elements 4
		victim=$(elements "$pipe" | cut -d ' ' -f "$which")
		feed 10
		exec 7>&-
		kill -KILL "$victim"
		ends 1
		grep -q " $which (.*) was killed by SIGKILL" err
		rm err sums
		only_files
	done
}

@test "elements killed at random moments never leave anything" {
	local i victim

	head -c 20000000 /dev/zero >in
	for i in $(seq 20); do
		"$DMABUF" pipe -q --size 64K file:in ! sha256 ! tee:copy ! file:out 2>err >sums &
		pipe=$!
		until_true has_some_element
		victim=$(elements "$pipe" | tr ' ' '\n' | sed '/^$/d' | shuf -n 1)
		# Not to wait for anything, but to come at another moment each time.
		sleep "0.0$((RANDOM % 100))"
		[ -z "$victim" ] || kill -KILL "$victim" 2>/dev/null || true
		until_true not_running "$pipe"
		if wait "$pipe"; then
			cmp in out
			cmp in copy
			rm out copy
		else
			grep -q "was killed by SIGKILL" err || {
				cat err
				return 1
			}
		fi
		rm -f err sums
		only_files in
		no_process_left
	done
}

has_some_element()
{
	not_running "$pipe" || [ -n "$(elements "$pipe" 2>/dev/null)" ]
}

@test "a pipe that gets SIGTERM ends all and exits with 143" {
	start sha256 ! file:out
	until_true has_elements 3
	feed 10
	kill -TERM "$pipe"
	ends 143
	grep -q "ended by SIGTERM" err
	rm err sums
	only_files
}

@test "Ctrl-C ends all and exits with 130" {
	# A shell in the background starts its jobs with SIGINT ignored; Python does not.
	mkfifo fifo
	python3 - "$DMABUF" <<'PYTHON'
import os, signal, subprocess, sys
p = subprocess.Popen([sys.argv[1], "pipe", "-q", "-", "!", "sha256", "!", "file:out"],
                     stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
children = f"/proc/{p.pid}/task/{p.pid}/children"
while len(open(children).read().split()) < 3:
    pass
p.stdin.write(bytes(3 << 20))
p.stdin.flush()
os.killpg(p.pid, signal.SIGINT)
words = p.stderr.read()
assert p.wait(60) == 130, p.returncode
assert b"ended by SIGINT" in words, words
PYTHON
	rm fifo
	only_files
}

@test "a pipe that is killed takes its elements with it and leaves no file" {
	start sha256 ! "exec:$INVERT" ! file:out
	until_true has_elements 4
	feed 10
	kill -KILL "$pipe"
	ends 137
	until_true no_process_left
	rm err sums
	only_files
}

@test "a stopped element holds the pipe up, and it still can be ended" {
	start sha256 ! file:out
	until_true has_elements 3
	kill -STOP "$(elements "$pipe" | cut -d ' ' -f 2)"
	kill -TERM "$pipe"
	ends 143
	rm err sums
	only_files
}

@test "G1 no buffer outlives its pipe" {
	"$DMABUF" pipe --json null:frames=100 ! "exec:$INVERT" ! null: >result
	"$DMABUF" ls --json >list
	[ "$(python3 -c '
import json
mine = json.load(open("result"))["buffers"]["inodes"]
print(sum(b["inode"] in mine for b in json.load(open("list"))["buffers"]))')" = 0 ]
}
