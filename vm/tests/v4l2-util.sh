# SPDX-License-Identifier: MIT
# For the tests of video devices: vivid's, which must have been loaded with n_devs=2 allocators=0,1.
# Works with busybox's shell.

tests=0
failures=0

# t "what must be so" FUNCTION [ARGUMENT]...: runs it in a shell of its own.
t()
{
	local name=$1 status

	shift
	tests=$((tests + 1))
	(set -e; "$@") >/tmp/t.out 2>&1 </dev/null
	status=$?
	if [ $status -eq 0 ]; then
		echo "ok $tests - $name"
	elif [ $status -eq 77 ]; then
		echo "ok $tests - $name # SKIP $(tail -n 1 /tmp/t.out)"
	else
		echo "not ok $tests - $name"
		sed 's/^/# /' /tmp/t.out
		failures=$((failures + 1))
	fi
}

finish()
{
	echo "1..$tests"
	[ $failures -eq 0 ]
}

skip()
{
	echo "$*"
	exit 77
}

# fails STATUS WORDS COMMAND...
fails()
{
	local want=$1 words=$2 status=0

	shift 2
	timeout 60 "$@" >/tmp/fails.out 2>&1 || status=$?
	cat /tmp/fails.out
	[ $status -eq "$want" ] || { echo "status $status, not $want"; return 1; }
	grep -q -- "$words" /tmp/fails.out || { echo "no \"$words\""; return 1; }
}

# run COMMAND...: its words are in the file words, too.
run()
{
	local status=0

	timeout 60 "$@" >words 2>&1 || status=$?
	cat words
	return $status
}

# /dev/videoN of vivid's instance $1 (000, 001) that is a $2 (cap, out).
video()
{
	local node

	for node in /sys/class/video4linux/video*; do
		if [ "$(cat "$node/name")" = "vivid-$1-vid-$2" ]; then
			echo "/dev/$(basename "$node")"
			return 0
		fi
	done
	return 1
}

v4l2-ctl --version >/dev/null 2>&1 || { echo "1..0 # SKIP no v4l2-ctl"; exit 0; }
camera=$(video 000 cap) || { echo "1..0 # SKIP no vivid"; exit 0; }
output=$(video 000 out)
# Its driver needs contiguous memory.
contiguous=$(video 001 cap)

# 720x480 and a pattern that is the same in each frame, at 60 frames a second.
still()
{
	v4l2-ctl -d "$1" -i 3
	v4l2-ctl -d "$1" --set-dv-bt-timings index=1
	v4l2-ctl -d "$1" -c osd_text_mode=2,test_pattern=1,percentage_of_dropped_buffers=0
}

# Does this kernel make dma-bufs of ordinary memory?
has_udmabuf()
{
	[ -e /dev/udmabuf ]
}

# Kernel dma-bufs that exist.
dma_bufs()
{
	sed -n 's/^Total \([0-9]*\) objects.*/\1/p' /sys/kernel/debug/dma_buf/bufinfo
}

# eventually COMMAND...: within 10 s.
eventually()
{
	local i=0

	until "$@"; do
		i=$((i + 1))
		[ $i -lt 100 ] || return 1
		sleep 0.1
	done
}

no_dma_bufs()
{
	[ "$(dma_bufs)" -eq 0 ]
}

(still "$camera" && still "$contiguous") >/dev/null 2>&1
