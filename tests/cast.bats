#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# dmabuf cast and dmabuf catch: one source, consumers of every kind that come and go.
load pipe-util.bash

teardown()
{
	local left

	# What a failed test left behind would run for ever.
	exec 7>&-
	left=$(ours)
	[ -z "$left" ] || kill -KILL $left 2>/dev/null || true
	cd / || return
	rm -rf "$dir"
	until_true no_process_left
}

# cast ARGUMENT...: in the background; $cast is its process.
cast()
{
	"$DMABUF" cast --socket sock --json "$@" >cast.json 2>cast.err 3>&- 7>&- &
	cast=$!
}

# catches NAME ARGUMENT...: in the background; ${NAME} is its process, $NAME.json its result.
catches()
{
	local name=$1

	shift
	"$DMABUF" catch --json "$@" >"$name.json" 2>"$name.err" 3>&- 7>&- &
	eval "$name=\$!"
}

# The process that does the work of $1.
worker()
{
	tr -d ' ' <"/proc/$1/task/$1/children" 2>/dev/null
}

# ends PROCESS STATUS
ends()
{
	local status=0

	wait "$1" || status=$?
	[ "$status" -eq "$2" ] || {
		echo "status $status, not $2"
		cat ./*.err
		return 1
	}
}

# Of the cast's consumers: consumers EXPRESSION, where c is one of them.
consumers()
{
	json cast.json "[($1) for c in d['consumers']]"
}

got_frames()
{
	local fds

	# The first frame brings the first buffer.
	fds=$(grep -c memfd:dmabuf "/proc/$(worker "$1")/maps" 2>/dev/null) && [ "$fds" -gt 0 ]
}

@test "E6 consumers of every kind get every frame of a cast, whole" {
	"$DMABUF" pipe -q test:320x240@0,frames=100 ! sha256 ! file:want >sum
	cast test:320x240@0,frames=100 --wait 4
	catches a --on-full block sock verify
	catches b --on-full block sock sha256
	catches c --on-full block sock file:out
	catches d --on-full block sock count
	ends "$a" 0
	ends "$b" 0
	ends "$c" 0
	ends "$d" 0
	ends "$cast" 0
	[ "$(json a.json 'd["results"]["verify"]')" = "100 pictures whole and in order" ]
	[ "$(json b.json 'd["results"]["sha256"]')" = "$(cut -d ' ' -f 1 sum)" ]
	cmp out want
	[ "$(json d.json 'd["frames"], d["dropped"], d["connects"]')" = "(100, 0, 1)" ]
	[ "$(consumers 'c["frames"], c["dropped"]')" = "[(100, 0), (100, 0), (100, 0), (100, 0)]" ]
	[ ! -e sock ]
}

@test "E6 programs can be source and sink" {
	cast "exec:$GRADIENT" --wait 1
	"$DMABUF" catch -q --on-full block sock "exec:$BRIGHTNESS" 2>list
	ends "$cast" 0
	diff list <(for i in $(seq 0 99); do echo "$i $i"; done)
	"$DMABUF" pipe -q "exec:$GRADIENT" ! "exec:$INVERT" ! "exec:$BRIGHTNESS" 2>list
	diff list <(for i in $(seq 0 99); do echo "$i $((255 - i))"; done)
}

@test "E6 a consumer killed in its access leaves the others their frames" {
	local i

	cast test:640x480@0 --wait 2
	catches a --on-full block --frames 8000 sock verify
	for i in 1 2 3 4; do
		catches b --on-full block sock sha256
		until_true got_frames "$b"
		kill -KILL "$(worker "$b")"
		ends "$b" 1
		grep -q "was killed by SIGKILL" b.err
	done
	ends "$a" 0
	kill -TERM "$cast"
	ends "$cast" 143
	[ "$(json a.json 'd["frames"], d["dropped"]')" = "(8000, 0)" ]
	# How the very last one went may not have reached the cast before its own end.
	[ "$(json cast.json 'len(d["consumers"])')" = 5 ]
	[ "$(json cast.json 'sum(c["end"] in ("died", "left") for c in d["consumers"]) >= 4')" = True ]
	[ "$(json cast.json 'sum(c["end"] == "died" for c in d["consumers"]) >= 3')" = True ]
}

@test "E6 who comes late gets what follows" {
	mkfifo fifo
	# In the background, as opening a FIFO waits for its other end.
	"$DMABUF" cast --socket sock --size 4K - <fifo 2>cast.err 3>&- &
	cast=$!
	exec 7>fifo
	until_true test -S sock
	# These frames nobody sees.
	head -c 40960 /dev/zero >&7
	until_true source_has_read 40960
	catches a --on-full block sock file:out
	until_true grep -q "joined" cast.err
	head -c 8192 /dev/urandom >rest
	cat rest >&7
	exec 7>&-
	ends "$a" 0
	ends "$cast" 0
	cmp out rest
}

source_has_read()
{
	[ "$(sed -n 's/^rchar: //p' "/proc/$(worker "$cast")/io")" -ge "$1" ]
}

@test "E6 a producer that was killed and started again is found again" {
	local n

	mkfifo fifo
	catches a --reconnect 60 --frames 2 sock file:out
	for n in 1 2; do
		"$DMABUF" cast --socket sock --size 4K --wait 1 - <fifo 2>cast.err 3>&- &
		cast=$!
		exec 7>fifo
		head -c 4096 /dev/urandom | tee "part$n" >&7
		if [ "$n" -eq 1 ]; then
			until_true got_frames "$a"
		else
			ends "$a" 0
		fi
		kill -KILL "$(worker "$cast")"
		ends "$cast" 1
		[ -S sock ]
		exec 7>&-
	done
	cat part1 part2 | cmp - out
	[ "$(json a.json 'd["connects"], d["frames"]')" = "(2, 2)" ]
}

@test "E6 a lost producer is an error, and names it" {
	cast null: --size 4K
	until_true test -S sock
	catches a sock null:
	until_true got_frames "$a"
	kill -KILL "$(worker "$cast")"
	ends "$a" 1
	grep -q "is gone without an end of stream" a.err
	ends "$cast" 1
}

@test "E6 a stopped consumer is cut off by name, and the others get everything" {
	mkfifo fifo
	head -c 8192000 /dev/urandom >in
	"$DMABUF" cast --socket sock --json --size 4K --wait 2 --stall 4 - \
		<fifo >cast.json 2>cast.err 3>&- &
	cast=$!
	exec 7>fifo
	catches a --on-full block --label patient sock file:out
	catches b --on-full block --label sleeper sock null:
	head -c 4096 in >&7
	until_true got_frames "$b"
	pid=$(worker "$b")
	kill -STOP "$pid"
	tail -c +4097 in >&7
	exec 7>&-
	ends "$a" 0
	ends "$cast" 0
	cmp in out
	[ "$(json a.json 'd["frames"], d["dropped"]')" = "(2000, 0)" ]
	[[ $(consumers '(c["label"], c["end"]) == ("sleeper", "cut off")') == *True* ]]
	json cast.json '[c["words"] for c in d["consumers"]]' | grep -q "sleeper (pid $pid) is cut off"
	kill -CONT "$pid"
	ends "$b" 1
	grep -q "gave nothing back for" b.err
}

@test "E6 who is slow and drops does not hold the others up" {
	cast test:64x64@0,frames=20000 --wait 2
	catches a --on-full block sock verify
	catches b sock verify
	ends "$a" 0
	ends "$b" 0
	ends "$cast" 0
	[ "$(json a.json 'd["frames"], d["dropped"]')" = "(20000, 0)" ]
	[ "$(json b.json 'd["frames"] + d["dropped"] <= 20000')" = True ]
}

@test "E6 a hundred consumers come and go, and nothing is left of them" {
	local i before

	cast null: --size 4K
	until_true test -S sock
	for i in $(seq 100); do
		"$DMABUF" catch -q --frames 1 --on-full block sock null:
		[ "$i" -ne 10 ] || before=$(descriptors)
	done
	# The pool may have grown by some buffers since; ninety consumers would leave more.
	until_true no_more_than $((before + 20))
	kill -TERM "$cast"
	ends "$cast" 143
	[ "$(json cast.json 'd["consumers_seen"], {c["end"] for c in d["consumers"]}')" = "(100, {'left'})" ]
}

descriptors()
{
	find "/proc/$(worker "$cast")/fd" -mindepth 1 | wc -l
}

no_more_than()
{
	[ "$(descriptors)" -le "$1" ]
}

@test "E6 who needs more than the pool has is refused, and told why" {
	cast null: --size 4K --buffers 4
	until_true test -S sock
	run "$DMABUF" catch -q --on-full block --buffers 3 sock null:
	[ "$status" -eq 1 ]
	[[ $output == *"is refused: it needs 3 buffers, and of the pool's limit of 4"* ]]
	kill -TERM "$cast"
	ends "$cast" 143
	[ "$(consumers 'c["end"]')" = "['refused']" ]
}

@test "E6 pictures are written every so often" {
	mkdir shots
	cast test:64x48@100,frames=131 --wait 2
	catches a --on-full block --every 0.5 sock png:shots
	catches b --on-full block --every 0 --frames 3 sock "png:pic-%03d.png"
	ends "$a" 0
	ends "$b" 0
	ends "$cast" 0
	[ "$(json a.json 'd["results"]["png"]')" = "3 pictures written" ]
	[ "$(find shots -name 'frame-*.png' | wc -l)" -eq 3 ]
	[ -e shots/frame-00000000.png ]
	python3 - pic-000.png <<'PYTHON'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
assert (width, height, depth, kind) == (64, 48, 8, 2), (width, height, depth, kind)
at, packed = 8, b""
while at < len(data):
    length, name = struct.unpack(">I4s", data[at:at + 8])
    if name == b"IDAT":
        packed += data[at + 8:at + 8 + length]
    at += 12 + length
rows = zlib.decompress(packed)
assert len(rows) == 48 * (1 + 64 * 3)
PYTHON
	[ -e pic-001.png ] && [ -e pic-002.png ] && [ ! -e pic-003.png ]
}

@test "E6 a picture's colours are right" {
	# 16 pixels of limited range black, white, and red in BT.601, as NV12 from a program.
	cast "exec:$GRADIENT" --wait 1
	catches a --on-full block --every 0 sock "png:grey-%d.png"
	ends "$a" 0
	ends "$cast" 0
	python3 - grey-77.png <<'PYTHON'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
at, packed = 8, b""
while at < len(data):
    length, name = struct.unpack(">I4s", data[at:at + 8])
    if name == b"IDAT":
        packed += data[at + 8:at + 8 + length]
    at += 12 + length
first = zlib.decompress(packed)[:1 + 320 * 3]
# The first line's filter is none, or the difference to the pixel before.
assert first[1:4] == bytes([77, 77, 77]), first[:8]
PYTHON
}

@test "what cannot be a picture is told" {
	cast null: --size 4K
	until_true test -S sock
	run "$DMABUF" catch -q sock "png:x-%d.png"
	[ "$status" -eq 1 ]
	[[ $output == *"no picture that can be written as PNG"* ]]
	run "$DMABUF" catch -q sock png:nowhere
	[ "$status" -eq 1 ]
	[[ $output == *"nowhere: no directory, and no pattern"* ]]
	kill -TERM "$cast"
	ends "$cast" 143
}

# fails STATUS WORDS COMMAND...
fails()
{
	local want=$1 words=$2

	shift 2
	run timeout 120 "$@"
	[ "$status" -eq "$want" ] && [[ $output == *"$words"* ]] && return
	echo "status $status, wanted $want with \"$words\""
	echo "$output"
	return 1
}

@test "a senseless command line of cast or catch is status 2" {
	fails 2 "the source is missing" "$DMABUF" cast --socket s
	fails 2 "--socket PATH is missing" "$DMABUF" cast null:
	fails 2 'unexpected "x"' "$DMABUF" cast null: x --socket s
	fails 2 '"sha256" cannot be the source' "$DMABUF" cast sha256 --socket s
	fails 2 '--wait "61"' "$DMABUF" cast null: --socket s --wait 61
	fails 2 '--stall "x"' "$DMABUF" cast null: --socket s --stall x
	fails 2 '--buffers "0"' "$DMABUF" cast null: --socket s --buffers 0
	fails 2 '--size "1"' "$DMABUF" cast null: --socket s --size 1
	fails 2 '"--frob"' "$DMABUF" cast null: --frob
	fails 2 'PATH and SINK' "$DMABUF" catch s
	fails 2 'unexpected "x"' "$DMABUF" catch s null: x
	fails 2 '"test:64x64@1" cannot be the sink' "$DMABUF" catch s test:64x64@1
	fails 2 '"tee:x" cannot be the sink' "$DMABUF" catch s tee:x
	fails 2 '--on-full "x"' "$DMABUF" catch --on-full x s null:
	fails 2 '--buffers "3:2"' "$DMABUF" catch --buffers 3:2 s null:
	fails 2 '--frames "0"' "$DMABUF" catch --frames 0 s null:
	fails 2 '--every "-1"' "$DMABUF" catch --every -1 s null:
	fails 2 'a pattern has one' "$DMABUF" catch s png:%s
	fails 2 'a pattern has one' "$DMABUF" catch s png:%d%d
	fails 2 'needs a value' "$DMABUF" catch s null: --timeout
	fails 2 '"png:x" cannot be the sink' "$DMABUF" pipe null: ! png:x
	only_files
}

@test "nobody at the path is told in time, and so is a path that is taken" {
	fails 1 "cannot reach a producer at sock: No such file" "$DMABUF" catch --timeout 0.1 sock null:
	cast null: --size 4K
	until_true test -S sock
	fails 1 "listens already" "$DMABUF" cast null: --socket sock
	touch file
	fails 1 "is there, and no socket" "$DMABUF" cast null: --socket file
	kill -TERM "$cast"
	ends "$cast" 143
}

# few N ARGUMENT...: the command with descriptors up to N - 1. 1: they were too few, which it said.
few()
{
	local n=$1 status=0

	shift
	(ulimit -Sn "$n" && exec "$DMABUF" "$@") >few.out 2>few.err 3>&- 7>&- || status=$?
	case $status in
	0) return 0 ;;
	1 | 3) grep -qi 'too many open files\|descriptor' few.err && return 1 ;;
	# Before it began.
	127) grep -q 'loading shared libraries' few.err && return 1 ;;
	esac
	echo "with $n descriptors: status $status"
	cat few.err
	return 2
}

# enough ARGUMENT...: with more and more descriptors, until there are enough.
enough()
{
	local n status

	for n in $(seq 4 64); do
		status=0
		few "$n" "$@" || status=$?
		[ $status -ne 1 ] && return $status
		[ ! -e own ]
	done
	return 1
}

@test "descriptors that run out are told, by cast and by catch, and harm nobody else" {
	# LeakSanitizer, where the command was built with it, needs some of its own.
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
	cast test:64x64@60
	catches a sock verify
	enough catch -q --buffers 6 --on-full block --frames 8 sock verify
	enough cast -q test:64x64@0,frames=2 --socket own
	kill -TERM "$cast"
	ends "$cast" 143
	ends "$a" 1
	[ "$(json a.json 'd["dropped"] + d["frames"] > 0')" = True ]
}

@test "Ctrl-C ends a cast, and its consumers are told" {
	cast null: --size 4K
	until_true test -S sock
	catches a sock null:
	until_true got_frames "$a"
	kill -TERM "$cast"
	ends "$cast" 143
	ends "$a" 1
	grep -q "is gone without an end of stream" a.err
}
