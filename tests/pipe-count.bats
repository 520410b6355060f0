#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# dmabuf pipe, counted: no payload is copied between elements, and a frame costs little.
load pipe-util.bash

# LeakSanitizer, where the command was built with it, does not work under strace.
needs_strace()
{
	strace -f -o /dev/null true || skip "strace may not trace here"
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
}

# Everything that can move bytes.
moves=read,write,readv,writev,pread64,pwrite64,preadv,pwritev,preadv2,pwritev2,sendto,recvfrom
moves+=,sendmsg,recvmsg,sendmmsg,recvmmsg,splice,tee,vmsplice,sendfile,copy_file_range
moves+=,process_vm_readv,process_vm_writev

@test "B4 no element between source and sink moves payload by a system call" {
	needs_strace
	head -c 4000000 /dev/urandom >in
	strace -f -qq -e trace="$moves" -e signal=none -o trace "$DMABUF" pipe --json --size 256K \
		file:in ! sha256 ! count ! "exec:$INVERT" ! crc32 ! file:out >result
	run python3 - <<'PYTHON'
import json, re
run = json.load(open("result"))
pids = {e["pid"]: e for e in run["elements"]}
most = dict.fromkeys(pids, 0)
lines = 0
for line in open("trace"):
    # What another process interrupted comes as "<... read resumed> ... = 5".
    m = re.match(r"(\d+) +(?:<\.\.\. )?(\w+).*= (\d+)$", line)
    if m and int(m[1]) in pids:
        lines += 1
        most[int(m[1])] = max(most[int(m[1])], int(m[3]))
assert lines > 5 * 16, lines
for pid, size in most.items():
    print(pids[pid]["element"].split("/")[-1], "moves at most", size, "bytes at a time")
    if pids[pid]["role"] == "stage":
        assert size < 65536, (pids[pid], size)
PYTHON
	echo "$output" | sed 's/^/# /' >&3
	[ "$status" -eq 0 ]
}

@test "B4 each descriptor is sent once to each element" {
	needs_strace
	strace -f -qq -e trace=sendmsg -e signal=none -o trace "$DMABUF" pipe --json \
		--buffers 5 --size 4K null:frames=200 ! sha256 ! count ! null: >result
	# Five to the source, and from each element to the next with the first frame in it.
	[ "$(grep -c SCM_RIGHTS trace)" -eq 20 ]
	[ "$(grep -c 'iov_len=120' trace)" -eq 600 ]
	for pid in $(json result '" ".join(str(e["pid"]) for e in d["elements"][:3])'); do
		[ "$(grep "^$pid " trace | grep -c SCM_RIGHTS)" -eq 5 ]
	done
}

@test "B4 all elements map the same memory" {
	mkfifo fifo
	"$DMABUF" pipe --json --size 64K --buffers 3 - ! sha256 ! crc32 ! "exec:$INVERT" ! file:out \
		<fifo 2>err >result &
	pipe=$!
	exec 7>fifo
	head -c 2000000 /dev/zero >&7
	for pid in $(elements "$pipe"); do
		awk '/memfd:dmabuf/ { print $5 }' "/proc/$pid/maps" | sort -u | xargs echo
	done >maps
	exec 7>&-
	wait "$pipe"
	[ "$(wc -l <maps)" -eq 5 ]
	[ "$(sort -u maps | wc -l)" -eq 1 ]
	[ "$(head -n 1 maps)" = "$(json result '" ".join(sorted(map(str, d["buffers"]["inodes"])))')" ]
}

calls()
{
	strace -f -qq -c -o trace "$DMABUF" pipe --json --size 64K --buffers 8 "$@" >result
	awk '$NF == "total" { print $4 }' trace
}

faults()
{
	"$DMABUF" pipe --json --size 64K --buffers 8 "$@" >result
	json result 'sum(e["page_faults"] for e in d["elements"])'
}

@test "B4 system calls and page faults of a frame in the steady state" {
	local few many per_frame

	needs_strace
	few=$(calls null:frames=1000 ! sha256 ! count ! null:)
	many=$(calls null:frames=3000 ! sha256 ! count ! null:)
	# From element to element a frame takes a send and a receive, and so does its way back, where
	# two or more go together while there is no hurry; and at worst a wait with another try.
	echo "# $(((many - few) * 10 / 2000)) tenths of a system call for a frame in 4 elements" >&3
	[ $(((many - few) / 2000)) -le 18 ]
	few=$(faults null:frames=1000 ! sha256 ! count ! null:)
	many=$(faults null:frames=9000 ! sha256 ! count ! null:)
	echo "# $((many - few)) page faults for 8000 frames more" >&3
	[ $((many - few)) -lt 100 ]
}

@test "B4 a file's frame costs its transfers and no page fault" {
	local few many

	needs_strace
	head -c $((64 * 65536)) /dev/urandom >few
	head -c $((576 * 65536)) /dev/urandom >many
	a=$(calls file:few ! sha256 ! file:out)
	b=$(calls file:many ! sha256 ! file:out)
	echo "# $(((b - a) * 10 / 512)) tenths of a system call for a frame from file to file" >&3
	[ $(((b - a) / 512)) -le 30 ]
	a=$(faults file:few ! sha256 ! file:out)
	b=$(faults file:many ! sha256 ! file:out)
	echo "# $((b - a)) page faults for 512 frames more" >&3
	[ $((b - a)) -lt 200 ]
}
