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
	v4l2-ctl -d "$camera" -i 3 --set-dv-bt-timings index=1 -c dv_timings_signal_mode=0 >/dev/null
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
	timeout 100 dmabuf pipe "v4l2:$camera,format=NV12,$1" ! - >got.raw 2>words &
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

# caught BYTES: a frame that a consumer of the cast gets has so many.
caught()
{
	[ "$(timeout 60 dmabuf catch -q @cam -n 1 - | wc -c)" -eq "$1" ]
}

larger()
{
	has_udmabuf || skip "no /dev/udmabuf"
	same_signal
	dmabuf cast -q "v4l2:$camera,format=NV12,memory=import,room=1M" --socket @cam >words 2>&1 &
	running=$!
	eventually 10 caught $((720 * 480 * 3 / 2))
	receives 4
	eventually 10 caught $((720 * 576 * 3 / 2))
	kill $running || true
	wait $running || true
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
	timeout 100 dmabuf cast "v4l2:$camera,format=NV12" --socket @cam --wait 1 >words 2>&1 &
	running=$!
	dmabuf catch @cam png:shots --every 0.1 >catch.out 2>&1 &
	catch=$!
	eventually 10 shot 02d0
	receives 0
	if has_udmabuf; then
		eventually 20 shot 0280
		kill $running || true
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
	before=$(stat -c %s got.raw)
	usleep 200000
	[ "$(stat -c %s got.raw)" -eq "$before" ]
}

goes_on()
{
	[ "$(stat -c %s got.raw)" -gt "$before" ]
}

comes_back()
{
	same_signal
	stream memory=export,timeout=never
	control dv_timings_signal_mode=1
	eventually 10 stands_still
	control dv_timings_signal_mode=0
	eventually 10 goes_on
	kill $running || true
	wait $running || true
}
so "a signal that comes back is gone on with, in the driver's memory, too" comes_back

stays_away()
{
	same_signal
	stream timeout=3
	control dv_timings_signal_mode=1
	ends_with 1
	grep -q "no signal at its input HDMI" words
	fails 1 "no signal at its input HDMI" dmabuf pipe "v4l2:$camera" ! null:
}
so "a signal that stays away ends the stream, or lets none begin, in words" stays_away

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
