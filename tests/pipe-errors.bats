#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# dmabuf pipe: what goes wrong is told, and leaves nothing behind.
load pipe-util.bash

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

# refuses PATTERN WAY: what the misuser sends ends the pipe with words that match.
refuses()
{
	run timeout 120 "$DMABUF" pipe null: ! "exec:$MISUSER $2" ! sha256 ! file:out
	[ "$status" -eq 1 ] && [[ $output =~ $1 ]] && return
	echo "status $status, wanted 1 with \"$1\""
	echo "$output"
	return 1
}

@test "a senseless command line is status 2, and says what is wrong with it" {
	fails 2 "subcommand is missing" "$DMABUF"
	fails 2 '"frobnicate"' "$DMABUF" frobnicate
	fails 2 "elements are missing" "$DMABUF" pipe
	fails 2 '"sha256" cannot be the source' "$DMABUF" pipe sha256 ! null:
	fails 2 '"sha256" cannot be the sink' "$DMABUF" pipe null: ! sha256
	fails 2 '"test:64x64@1" cannot be a stage' "$DMABUF" pipe null: ! test:64x64@1 ! null:
	fails 2 '"sha1"' "$DMABUF" pipe null: ! sha1 ! null:
	fails 2 'before "!"' "$DMABUF" pipe ! null:
	fails 2 'after the last "!"' "$DMABUF" pipe null: !
	fails 2 'unexpected "b"' "$DMABUF" pipe file:a b ! null:
	fails 2 '"file:": a path' "$DMABUF" pipe file: ! null:
	fails 2 '"test:63x64@1"' "$DMABUF" pipe test:63x64@1 ! null:
	fails 2 '"test:64@1"' "$DMABUF" pipe test:64@1 ! null:
	fails 2 '",frame=1"' "$DMABUF" pipe test:64x64@1,frame=1 ! null:
	fails 2 '"null:rows=1"' "$DMABUF" pipe null:rows=1 ! null:
	fails 2 'a quote is not closed' "$DMABUF" pipe null: ! "exec:'a" ! null:
	fails 2 'a command is missing' "$DMABUF" pipe null: ! exec: ! null:
	fails 2 '--buffers "0"' "$DMABUF" pipe --buffers 0 null: ! null:
	fails 2 '--buffers "65"' "$DMABUF" pipe --buffers 65 null: ! null:
	fails 2 '--size "1"' "$DMABUF" pipe --size 1 null: ! null:
	fails 2 '--size "4X"' "$DMABUF" pipe --size 4X null: ! null:
	fails 2 '--color "pink"' "$DMABUF" pipe --color pink null: ! null:
	fails 2 '"--frob"' "$DMABUF" pipe --frob null: ! null:
	fails 2 'needs a value' "$DMABUF" pipe --size
	fails 2 '"x"' "$DMABUF" ls x
	fails 2 'the path of a device is missing' "$DMABUF" pipe v4l2: ! null:
	fails 2 '"speed=1" is not format=' "$DMABUF" pipe v4l2:/dev/video0,speed=1 ! null:
	fails 2 '"size=640" is not' "$DMABUF" pipe v4l2:/dev/video0,size=640 ! null:
	fails 2 '"format=YUYV2" is not' "$DMABUF" pipe v4l2:/dev/video0,format=YUYV2 ! null:
	fails 2 '"fps=0" is not' "$DMABUF" pipe v4l2:/dev/video0,fps=0 ! null:
	fails 2 '"memory=mine" is not' "$DMABUF" pipe v4l2:/dev/video0,memory=mine ! null:
	fails 2 '"memory=dma_heap/" is not' "$DMABUF" pipe v4l2:/dev/video0,memory=dma_heap/ ! null:
	fails 2 'a sink has no options' "$DMABUF" pipe null: ! v4l2:/dev/video0,fps=5
	fails 2 '"fps=0" is not frames=N' "$DMABUF" pipe drm:/dev/dri/card0,fps=0 ! null:
	fails 2 'a sink has no options' "$DMABUF" pipe null: ! drm:/dev/dri/card0,crtc=1
	fails 2 'cannot be a stage' "$DMABUF" pipe null: ! v4l2:/dev/video0 ! null:
	fails 2 'write the same file' "$DMABUF" pipe null:bytes=1 ! tee:out ! file:./out
	only_files
}

@test "what is no video device is refused before anything starts" {
	fails 1 "cannot open it: No such file or directory (v4l2-ctl" "$DMABUF" pipe v4l2:none ! null:
	fails 1 "no video device" "$DMABUF" pipe v4l2:/dev/zero ! null:
	: >plain
	fails 1 "no video device" "$DMABUF" cast v4l2:plain --socket s
	fails 1 "no video device" "$DMABUF" pipe null: ! v4l2:/dev/zero
}

@test "a file that cannot be opened names its element" {
	fails 1 "source 1 (file:none): cannot open it: No such file" "$DMABUF" pipe file:none ! file:out
	fails 1 "source 1 (file:.): cannot read it: Is a directory" "$DMABUF" pipe file:. ! file:out
	fails 1 "sink 2 (file:none/out)" "$DMABUF" pipe null:bytes=1 ! file:none/out
	fails 1 "sink 2 (file:.)" "$DMABUF" pipe null:bytes=1 ! file:.
	only_files
}

@test "I/O errors are told, and leave no output" {
	fails 1 "source 1 (file:/proc/self/mem) failed: cannot read: Input/output error" \
		"$DMABUF" pipe -q file:/proc/self/mem ! sha256 ! file:out
	fails 1 "sink 3 (file:/dev/full) failed: cannot write: No space left on device" \
		"$DMABUF" pipe -q null: ! tee:out ! file:/dev/full
	only_files
}

@test "H1 a full disk is told, and leaves no output" {
	local program='mount -t tmpfs -o size=1m none "$1" && cd "$1" &&
		{ "$2" pipe -q null: ! sha256 ! file:out; echo "status $?"; ls -A; }'

	mkdir small
	unshare -rm true || skip "no mount namespaces here"
	run timeout 120 unshare -rm sh -c "$program" sh small "$DMABUF"
	[[ ${lines[0]} == *"sink 3 (file:out) failed: cannot write: No space left on device"* ]]
	[ "${lines[1]}" = "status 1" ]
	[ "${#lines[@]}" -eq 2 ]
}

@test "a reader of stdout that goes away ends the pipe" {
	run bash -o pipefail -c '"$0" pipe -q null: ! - | head -c 1000 >part' "$DMABUF"
	[ "$status" -eq 1 ]
	[[ $output == *"sink 2 (-) failed: cannot write: the reader is gone"* ]]
	[ "$(stat -c %s part)" -eq 1000 ]
}

@test "results that cannot be written are a failure" {
	run bash -c '"$0" pipe --json null:frames=1 ! null: >/dev/full' "$DMABUF"
	[ "$status" -eq 1 ]
	[[ $output == *"cannot write to stdout"* ]]
}

@test "programs that do not do their part are told by name" {
	fails 1 "stage 2 (exec:false) exited with status 1" "$DMABUF" pipe null: ! exec:false ! file:out
	fails 1 "stage 2 (exec:true) exited without opening its end of the queue" \
		"$DMABUF" pipe null: ! exec:true ! file:out
	fails 1 "cannot run ./none: No such file" "$DMABUF" pipe null: ! exec:./none ! file:out
	fails 1 " early) exited before the end of the stream" \
		"$DMABUF" pipe null: ! "exec:$MISUSER early" ! sha256 ! file:out
	fails 1 " crash) was killed by SIGABRT" \
		"$DMABUF" pipe null: ! count ! "exec:$MISUSER crash" ! sha256 ! file:out
	fails 1 " error) failed: out of film" \
		"$DMABUF" pipe null: ! "exec:$MISUSER error" ! sha256 ! file:out
	fails 1 " leave) left the pipe before the end of the stream" \
		"$DMABUF" pipe null: ! "exec:$MISUSER leave" ! file:out
	only_files
}

@test "a program that never opens its end of the queue does not hang the pipe" {
	fails 1 " silent) did not open its end of the queue" \
		"$DMABUF" pipe null: ! "exec:$MISUSER silent" ! file:out
	only_files
}

@test "what a program sends is checked by who receives it" {
	local from

	from='stage 3 \(sha256\) failed: pipe-misuser \(pid [0-9]+\)'
	refuses "$from sent buffer 4000000000, which cannot be" index
	refuses "$from sent buffer 0 with 9223372036854775808 of 1048576 bytes used" used
	refuses "$from sent a picture that makes no sense: a plane reaches beyond" picture
	refuses "$from sent 4 bytes that are no message" short
	refuses "$from speaks version 77" version
	refuses "$from sent a message of unknown type 77" type
	refuses "$from sent 0 bytes that are no message" empty
	refuses ' control\) sent the pipe 4 bytes that make no sense' control
	only_files
}

@test "a buffer that is handed on twice is noticed" {
	refuses 'stage 3 \(sha256\) failed: pipe-misuser \(pid [0-9]+\) sent buffer 0, which (is|was) here' twice
	only_files
}

@test "a failing pipe says so in its JSON" {
	run "$DMABUF" pipe --json null: ! exec:false ! null:
	[ "$status" -eq 1 ]
	"$DMABUF" pipe --json null: ! exec:false ! null: >result 2>/dev/null || true
	[ "$(json result 'd["result"], d["exit_status"], d["failed_element"], d["reason"]')" = \
		"('failed', 1, 2, 'stage 2 (exec:false) exited with status 1')" ]
}
