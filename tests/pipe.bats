#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# dmabuf pipe: what goes in comes out.
load pipe-util.bash

sum()
{
	sha256sum <"$1" | cut -d ' ' -f 1
}

@test "H1 a file goes through sha256, tee, count and crc32 into a file" {
	head -c 5000001 /dev/urandom >in
	run "$DMABUF" pipe -q file:in ! sha256 ! tee:copy ! count ! crc32 ! file:out
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "$(sum in)  in" ]
	[ "${lines[1]%% *}" = "$(python3 -c 'import zlib; print("%08x" % zlib.crc32(open("in", "rb").read()))')" ]
	cmp in copy
	cmp in out
	only_files in copy out
}

@test "H1 odd sizes arrive whole" {
	local size

	for size in 0 1 511 512 513 4096 65535 65536 65537 524288 524289 1000003; do
		head -c "$size" /dev/urandom >in
		"$DMABUF" pipe -q --size 64K --buffers 8 file:in ! sha256 ! tee:copy ! file:out >sum
		[ "$(cut -d ' ' -f 1 sum)" = "$(sum in)" ]
		cmp in copy
		cmp in out
	done
}

@test "H1 one buffer is enough, and so are 64" {
	local n

	head -c 1000003 /dev/urandom >in
	for n in 1 2 64; do
		"$DMABUF" pipe -q --size 4K --buffers "$n" file:in ! tee:copy ! file:out
		cmp in copy
		cmp in out
	done
}

@test "stdin and stdout carry the bytes, everything else is on stderr" {
	head -c 3000001 /dev/urandom >in
	cat in | "$DMABUF" pipe - ! sha256 ! - 2>err | cat >out
	cmp in out
	grep -q "^$(sum in)  -\$" err
	grep -q ELEMENT err
}

@test "empty input is an empty output" {
	: | "$DMABUF" pipe -q - ! sha256 ! file:out >sum
	[ "$(cut -d ' ' -f 1 sum)" = "$(sum /dev/null)" ]
	[ -e out ] && [ ! -s out ]
}

@test "files of /proc, which have no size, are read to their end" {
	"$DMABUF" pipe -q file:/proc/cpuinfo ! file:out
	[ "$(wc -l <out)" -gt 5 ]
}

@test "null: makes as many zeros as it is told" {
	"$DMABUF" pipe -q null:bytes=1000001 ! file:out
	cmp out <(head -c 1000001 /dev/zero)
	"$DMABUF" pipe -q --size 4K null:frames=10 ! file:out
	cmp out <(head -c 40960 /dev/zero)
	"$DMABUF" pipe -q --size 4K null:frames=10 ! file:out
}

@test "null: stays zero although a program changes the buffers" {
	"$DMABUF" pipe -q --size 4K --buffers 2 null:frames=9 ! "exec:$INVERT" ! file:out
	cmp out <(head -c 36864 /dev/zero | tr '\0' '\377')
}

@test "B4 test pictures arrive whole and in order" {
	"$DMABUF" pipe --json test:320x240@0,frames=200 ! verify ! count ! null: >result
	[ "$(json result 'd["elements"][2]["results"]["count"]')" = \
		"200 frames, $((200 * 320 * 240 * 3 / 2)) bytes" ]
}

@test "test pictures come at their rate" {
	"$DMABUF" pipe --json test:64x64@100,frames=51 ! null: >result
	# 50 periods of 10 ms lie between the first and the last.
	[ "$(json result 'd["seconds"] >= 0.5')" = True ]
}

@test "a picture larger than --size makes the buffers larger" {
	"$DMABUF" pipe --json --size 4K test:640x480@0,frames=3 ! verify ! null: >result
	[ "$(json result 'd["buffers"]["size"]')" = $((640 * 480 * 3 / 2)) ]
}

@test "verify notices a picture that was changed" {
	run "$DMABUF" pipe -q test:64x64@0,frames=3 ! "exec:$INVERT" ! verify ! null:
	[ "$status" -eq 1 ]
	[[ $output == *"stage 3 (verify) failed: frame 0: not a test picture"* ]]
	"$DMABUF" pipe -q test:64x64@0,frames=3 ! "exec:$INVERT" ! "exec:$INVERT" ! verify ! null:
}

@test "exec: splits words as a shell does" {
	head -c 100000 /dev/urandom >in
	ln -s "$INVERT" "in vert"
	"$DMABUF" pipe -q file:in ! 'exec:"./in vert" one\ word' ! "exec:'./in vert'" ! file:out
	cmp in out
}

@test "an existing output is replaced as a whole, with the permissions that umask leaves" {
	head -c 100000 /dev/urandom >in
	echo old >out
	ln out link
	(umask 027 && "$DMABUF" pipe -q file:in ! file:out)
	cmp in out
	[ "$(cat link)" = old ]
	[ "$(stat -c %a out)" = 640 ]
	only_files in out link
}

@test "an output that is a symbolic link stays one" {
	head -c 1000 /dev/urandom >in
	ln -s real out
	touch real
	"$DMABUF" pipe -q file:in ! file:out
	[ -L out ]
	cmp in real
}

@test "a file can be its own output" {
	head -c 1000000 /dev/urandom >in
	cp in saved
	"$DMABUF" pipe -q file:in ! "exec:$INVERT" ! file:in
	"$DMABUF" pipe -q file:in ! "exec:$INVERT" ! file:in
	cmp in saved
}

@test "FIFOs and devices are written as they are" {
	head -c 1000000 /dev/urandom >in
	mkfifo fifo
	cat fifo >out &
	"$DMABUF" pipe -q file:in ! tee:/dev/null ! file:fifo
	wait
	cmp in out
	[ -p fifo ]
}

@test "G1 the JSON result has the fields that it always had" {
	head -c 100000 /dev/urandom >in
	"$DMABUF" pipe --json file:in ! sha256 ! file:out >result
	[ "$(json result '" ".join(d)')" = "schema result exit_status reason failed_element seconds frames bytes bytes_per_second buffers counters elements" ]
	[ "$(json result '" ".join(d["elements"][1])')" = "number role element pid frames bytes waits wait_seconds user_seconds system_seconds page_faults exit_status signal results" ]
	[ "$(json result '" ".join(d["counters"])')" = "cpu_access maps cached_maps sync_needed sync_done sync_skipped recovered leases_lost" ]
	[ "$(json result 'd["schema"], d["result"], d["reason"], d["bytes"]')" = "('dmabuf-pipe/1', 'ok', None, 100000)" ]
	[ "$(json result 'd["elements"][1]["results"]["sha256"]')" = "$(sum in)" ]
	[ "$(json result '"method" in d["elements"][0]["results"]')" = True ]
}

@test "C3 no cache operation is done on coherent memory" {
	head -c 3000000 /dev/urandom >in
	"$DMABUF" pipe --json file:in ! sha256 ! file:out >result
	[ "$(json result 'd["counters"]["sync_needed"], d["counters"]["sync_done"]')" = "(0, 0)" ]
	[ "$(json result 'd["counters"]["sync_skipped"] > 0')" = True ]
}

@test "B4 each buffer is mapped once for each device, however many frames there are" {
	head -c 3000000 /dev/urandom >in
	"$DMABUF" pipe --json --size 4K --buffers 4 file:in ! file:out >result
	[ "$(json result 'd["counters"]["maps"]')" = 8 ]
}

@test "every subcommand has --help, and version says what it is" {
	local name

	for name in "" pipe cast catch ls solve devices doctor version help; do
		run "$DMABUF" $name --help
		[ "$status" -eq 0 ]
		[[ ${lines[0]} == Usage:* ]]
	done
	run "$DMABUF" version
	[[ $output =~ ^dmabuf\ [0-9.]+\ \(libdmabuf\ [0-9.]+\)$ ]]
}

@test "manual pages and completion know every option and element that --help names" {
	local name word

	for name in pipe cast catch ls solve devices doctor; do
		for word in $("$DMABUF" $name --help | grep -oE -- '--[a-z]+|^  [a-z0-9]+:?' | sort -u); do
			grep -qF -- "$word" "$MAN/dmabuf-$name.1.scd" || {
				echo "dmabuf-$name.1 does not have $word"
				return 1
			}
			grep -qF -- "$word" "$COMPLETION" || {
				echo "completion does not have $word"
				return 1
			}
		done
	done
}

@test "completion offers subcommands and options" {
	complete_words()
	{
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		COMPREPLY=()
		_dmabuf
		printf '%s ' "${COMPREPLY[@]}"
	}

	source "$COMPLETION"
	[ "$(complete_words dmabuf pi)" = "pipe " ]
	[ "$(complete_words dmabuf ls --s)" = "--short " ]
	[ "$(complete_words dmabuf cast --s)" = "--socket --stall --size " ]
	[ "$(complete_words dmabuf catch --on-full b)" = "block " ]
	[ "$(complete_words dmabuf pipe --color a)" = "auto always " ]
	[ "$(complete_words dmabuf help v)" = "version " ]
}

@test "closed standard descriptors are no trap" {
	head -c 100000 /dev/urandom >in
	"$DMABUF" pipe -q file:in ! sha256 ! "exec:$INVERT" ! "exec:$INVERT" ! file:out <&- >&- 2>&-
	cmp in out
}

@test "the longest pipe with the largest pool starts without privileges" {
	local stages=() i

	for i in $(seq 30); do
		stages+=(count !)
	done
	pipe=("$DMABUF" pipe --json --size 4K --buffers 64 null:frames=1000 ! "${stages[@]}" null:)
	if [ "$(id -u)" -eq 0 ]; then
		pipe=(setpriv --reuid 65534 --regid 65534 --clear-groups "${pipe[@]}")
		"${pipe[@]:0:7}" version || skip "the build directory cannot be reached by others"
	fi
	(ulimit -Sn 1024 && "${pipe[@]}" >result)
	[ "$(json result 'd["elements"][31]["frames"]')" = 1000 ]
}
