# SPDX-License-Identifier: MIT
# For tests of video devices: two of vivid's, one that takes any memory and one that needs it in one
# piece, or what the variable vivid says. Source this instead of tap.sh, and end with video_done.
. /tests/tap.sh

# shellcheck disable=SC2086 # several words
modprobe vivid ${vivid:-n_devs=2 allocators=0,1}

# so WORDS FUNCTION [ARGUMENT]...: each of its commands succeeds. `skip` ends it, too.
so()
{
	words=$1
	shift
	(
		set -e
		"$@"
	) >/tmp/so.out 2>&1
	case $? in
	0) ok "$words" ;;
	77) ok "$words # SKIP $(tail -n 1 /tmp/so.out)" ;;
	*)
		not_ok "$words"
		sed 's/^/# /' /tmp/so.out
		;;
	esac
}

skip()
{
	echo "$*"
	exit 77
}

# run COMMAND...: what it prints is in the file words, too.
run()
{
	status=0
	timeout 30 "$@" >words 2>&1 || status=$?
	cat words
	return $status
}

# fails STATUS WORDS COMMAND...
fails()
{
	want=$1 pattern=$2
	shift 2
	run "$@" || true
	[ $status -eq "$want" ] && grep -q -- "$pattern" words
}

# The node of vivid's instance $1 (000, 001) that is a $2 (cap, out).
video()
{
	for node in /sys/class/video4linux/video*; do
		[ "$(cat "$node/name")" != "vivid-$1-vid-$2" ] || echo "/dev/$(basename "$node")"
	done
}

# 720x480 at 60 frames a second, and a picture that is the same in each.
still()
{
	v4l2-ctl -d "$1" -i 3 --set-dv-bt-timings index=1 -c osd_text_mode=2,test_pattern=1
}

# connect INSTANCE 1: what goes to its output comes from its camera (0: no more). The control was
# renamed in 6.12.
connect()
{
	seen=$(video "$1" cap)
	v4l2-ctl -d "$(video "$1" out)" -o 1 --set-dv-bt-timings index=1
	menu=$(v4l2-ctl -d "$seen" -L | sed -n "/hdmi_$1_0_is_connected_to/,\$p" |
		sed -n "s/^[^0-9]*\([0-9]*\): Output HDMI $1.*/\1/p" | head -n 1)
	if [ -n "$menu" ]; then
		v4l2-ctl -d "$seen" -c "hdmi_$1_0_is_connected_to=$((menu * $2))"
	else
		v4l2-ctl -d "$seen" -c "loop_video=$2"
	fi
}

camera=$(video 000 cap)
output=$(video 000 out)
contiguous=$(video 001 cap)
still "$camera" >/dev/null 2>&1
[ -z "$contiguous" ] || still "$contiguous" >/dev/null 2>&1

# Only with this a driver can use ordinary memory.
has_udmabuf()
{
	[ -e /dev/udmabuf ]
}

no_buffers()
{
	[ "$(kernel_buffers)" -eq 0 ]
}

video_done()
{
	check "the driver has let go of everything" eventually 5 modprobe -r vivid
	done_testing
}
