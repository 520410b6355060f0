# SPDX-License-Identifier: MIT
# Inputs that lose their signal, or get another: followed where the buffers allow, told where not.
# needs: v4l2-ctl
# seconds: 150
. /lib/video.sh

control()
{
	v4l2-ctl -d "$camera" -c "$1"
}

# receives N: the input gets signal N of the driver's list: 0: 640x480, 2: 720x480, 4: 720x576.
receives()
{
	control "dv_timings_signal_mode=4,dv_timings=$1"
}

same_signal()
{
	control dv_timings_signal_mode=0
	still "$camera" >/dev/null 2>&1
}

# In $?: the status of a pipe or cast that runs in the background, and its words are shown.
ends_with()
{
	status=0
	wait "$running" || status=$?
	cat words
	[ $status -eq "$1" ]
}

# stream OPTIONS: a pipe that has taken frames, and goes on.
stream()
{
	rm -f got.raw
	timeout 30 dmabuf pipe "v4l2:$camera,format=NV12,$1" ! - >got.raw 2>words &
	running=$!
	eventually 10 [ -s got.raw ]
}

# change OPTIONS N: it runs while the signal becomes N.
change()
{
	same_signal
	stream "$1"
	receives "$2"
}

# The bytes are those of 720x480 up to a frame, and of $1 pixels from there on.
bytes_are()
{
	since=$(sed -n 's/.* since frame \([0-9]*\).*/\1/p' words)
	[ "$since" -gt 0 ] && [ "$since" -lt 100 ]
	[ "$(wc -c <got.raw)" -eq $((since * 720 * 480 * 3 / 2 + (100 - since) * $1 * 3 / 2)) ]
}

larger()
{
	has_udmabuf || skip "no /dev/udmabuf"
	change frames=100,memory=import,room=1M 4
	ends_with 0
	grep -q "720x576 since frame" words
	bytes_are $((720 * 576))
	change memory=import 4
	ends_with 1
	grep -q "too large for the buffers: start again, with room=622080" words
}
so "a larger picture is followed where there is room, else told" larger

driver_memory()
{
	change memory=export 0
	ends_with 1
	grep -q "its picture is 640x480 now, and the buffers are the driver's" words
}
so "the driver's buffers end with the picture that they are for" driver_memory

# A PNG of $1 pixels a line, of which these are the lower 16 bits in hexadecimal.
shot()
{
	for png in shots/*.png; do
		[ "$(hexdump -s 18 -n 2 -e '/1 "%02x"' "$png" 2>/dev/null)" != "$1" ] || return 0
	done
	return 1
}

consumers()
{
	same_signal
	rm -rf shots
	mkdir shots
	timeout 30 dmabuf cast "v4l2:$camera,format=NV12" --socket @cam --wait 1 >words 2>&1 &
	running=$!
	dmabuf catch @cam png:shots --every 0.1 >catch.out 2>&1 &
	catch=$!
	eventually 10 shot 02d0
	receives 0
	if has_udmabuf; then
		eventually 20 shot 0280
		kill $running
		wait $catch $running || true
	else
		ends_with 1
		grep -q "640x480 now" words
		! wait $catch
		cat catch.out
		[ -s catch.out ]
	fi
}
so "consumers in other processes go on with the new picture, or learn that there is none" consumers

stands_still()
{
	before=$(wc -c <got.raw)
	usleep 200000
	[ "$(wc -c <got.raw)" -eq "$before" ]
}

comes_back()
{
	same_signal
	stream frames=100,memory=export
	control dv_timings_signal_mode=1
	eventually 10 stands_still
	control dv_timings_signal_mode=0
	ends_with 0
	grep -q ' [1-9] restarts' words
	[ "$(wc -c <got.raw)" -eq $((100 * 720 * 480 * 3 / 2)) ]
}
so "a signal that comes back is gone on with, in the driver's memory, too" comes_back

stays_away()
{
	same_signal
	stream timeout=0.5
	control dv_timings_signal_mode=1
	ends_with 1
	grep -q "no signal at its input HDMI" words
}
so "a signal that stays away ends the stream, in words" stays_away

# told MODE WORDS
told()
{
	control "dv_timings_signal_mode=$1"
	fails 1 "$2" dmabuf pipe "v4l2:$camera" ! null:
}
so "an input without a signal is told at the start" told 1 "no signal at its input HDMI"
so "an input that cannot lock on to its signal is told" told 2 "cannot lock on to the signal at its input HDMI"
so "a signal out of the device's range is told" told 3 "is none that it is made for"

silent()
{
	same_signal
	control percentage_of_dropped_buffers=100
	fails 1 "no frame for 0.5 s" dmabuf pipe "v4l2:$camera,timeout=0.5" ! null:
	control percentage_of_dropped_buffers=0
}
so "a camera that gives no frame does not wait for ever" silent

# From PAL to NTSC, which is 576 and 480 lines.
television()
{
	v4l2-ctl -d "$camera" -i 2 -s pal
	control standard_signal_mode=0
	stream memory=export
	control standard_signal_mode=4,standard=0
	ends_with 1
	grep -q "its picture is 720x480 now" words
	control standard_signal_mode=1
	fails 1 "no signal at its input S-Video" dmabuf pipe "v4l2:$camera" ! null:
	control standard_signal_mode=0
}
so "a television standard that changes is noticed, and so is that there is none" television
video_done
