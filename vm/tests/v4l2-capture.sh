#!/bin/sh
# SPDX-License-Identifier: MIT
# Cameras: the same bytes as v4l2-ctl reads, in our memory and in the driver's, and outputs.
. "$(dirname "$0")/v4l2-util.sh"
cd /tmp || exit 1

# same DEVICE FORMAT MEMORY: five frames, byte by byte.
same()
{
	rm -f ref.raw got.raw
	v4l2-ctl -d "$1" -v pixelformat="$2" --stream-mmap --stream-count=5 --stream-to=ref.raw
	timeout 60 dmabuf pipe "v4l2:$1,format=$2,frames=5,memory=$3" ! file:got.raw
	[ "$(wc -c <ref.raw)" -gt 1000000 ]
	cmp ref.raw got.raw
}

same_if_imported()
{
	has_udmabuf || skip "no /dev/udmabuf"
	same "$@"
}

for format in YUYV NV12 YU12 RGB3 XR24; do
	t "H1 $format in our memory is what v4l2-ctl reads" same_if_imported "$camera" $format import
	t "H1 $format in the driver's memory is what v4l2-ctl reads" same "$camera" $format export
	t "H1 $format in the driver's contiguous memory is what v4l2-ctl reads" \
		same "$contiguous" $format export
done

chooses()
{
	run dmabuf pipe "v4l2:$1,frames=5" ! null:
	grep -q "$2" words
}

chooses_for_ordinary()
{
	if has_udmabuf; then
		chooses "$camera" "our memory"
	else
		chooses "$camera" "the driver's memory (ours was refused: Operation not supported)"
	fi
}
t "H1 ordinary memory is chosen where the driver takes it" chooses_for_ordinary

chooses_for_contiguous()
{
	has_udmabuf || skip "no /dev/udmabuf"
	chooses "$contiguous" "the driver's memory (ours was refused: Bad address)"
}
t "H1 a driver that needs contiguous memory is found out by a trial" chooses_for_contiguous

refuses_ordinary()
{
	if has_udmabuf; then
		fails 1 "it may need it in one piece" dmabuf pipe "v4l2:$contiguous,memory=import" ! null:
	else
		fails 1 "this kernel has no /dev/udmabuf" dmabuf pipe "v4l2:$camera,memory=import" ! null:
	fi
	no_dma_bufs
}
t "H1 memory that cannot be taken is refused in words" refuses_ordinary

checksum()
{
	v4l2-ctl -d "$camera" -v pixelformat=NV12 --stream-mmap --stream-count=8 --stream-to=ref.raw
	timeout 60 dmabuf pipe -q "v4l2:$camera,format=NV12,frames=8" ! sha256 ! null: >got
	cat got
	[ "$(cut -d ' ' -f 1 got)" = "$(sha256sum ref.raw | cut -d ' ' -f 1)" ]
}
t "H1 the checksum is that of what v4l2-ctl reads" checksum

two_calls()
{
	run dmabuf pipe "v4l2:$camera,frames=100" ! null:
	calls=$(sed -n 's/.* \([0-9]*\) calls.*/\1/p' words)
	# One to queue and one to reap a frame; those that are under way at the end, and the trial.
	[ "$calls" -ge 200 ] && [ "$calls" -le 215 ]
}
t "H1 a frame costs two calls to the driver" two_calls

# connect 1: what goes to the output comes from the camera. The control was renamed in 6.12.
connect()
{
	local menu

	menu=$(v4l2-ctl -d "$camera" -L | sed -n '/hdmi_000_0_is_connected_to/,$p' |
		sed -n 's/^[^0-9]*\([0-9]*\): Output HDMI 000.*/\1/p' | head -n 1)
	if [ -n "$menu" ]; then
		v4l2-ctl -d "$camera" -c "hdmi_000_0_is_connected_to=$((menu * $1))"
	else
		v4l2-ctl -d "$camera" -c "loop_video=$1"
	fi
}

# From one camera to an output, from there through a wire to the other camera: each frame whole.
loops()
{
	v4l2-ctl -d "$contiguous" -c test_pattern=4
	v4l2-ctl -d "$contiguous" -v pixelformat=NV12 --stream-mmap --stream-count=1 --stream-to=ref.raw
	v4l2-ctl -d "$output" -o 1
	v4l2-ctl -d "$output" --set-dv-bt-timings index=1
	connect 1
	timeout 60 dmabuf pipe -q "v4l2:$contiguous,format=NV12,frames=240" ! "v4l2:$output" &
	sleep 1
	run dmabuf pipe -q "v4l2:$camera,format=NV12,frames=20" ! file:seen.raw
	wait $!
	connect 0
	v4l2-ctl -d "$contiguous" -c test_pattern=1
	size=$((720 * 480 * 3 / 2))
	[ "$(wc -c <seen.raw)" -eq $((20 * size)) ]
	for i in 0 5 10 15 19; do
		dd if=seen.raw bs=$size skip=$i count=1 2>/dev/null | cmp - ref.raw
	done
}
t "H1 what goes to an output comes back from a camera, byte by byte" loops

sink()
{
	has_udmabuf || skip "no /dev/udmabuf: an output takes kernel dma-bufs only"
	run dmabuf pipe test:640x360@30,frames=40 ! "v4l2:$output"
	grep -q ' 0 damaged, 0 lost' words
}
t "H1 an output shows the library's own memory" sink

passes_on()
{
	run dmabuf pipe "v4l2:$camera,format=NV12,memory=export,frames=60" ! "v4l2:$output"
	grep -q ' 0 damaged, 0 lost' words
}
t "H1 an output shows a camera's own memory" passes_on

odd_format()
{
	fails 1 "has no format Q4Q4" dmabuf pipe "v4l2:$camera,format=Q4Q4" ! null:
	fails 1 "the frames are no pictures" dmabuf pipe null:frames=3 ! "v4l2:$output"
	fails 1 "use it as a sink" dmabuf pipe "v4l2:$output" ! null:
	fails 1 "use it as a source" dmabuf pipe null: ! "v4l2:$camera"
}
t "H1 formats and devices that do not suit are refused in words" odd_format

t "H1 nothing is left behind" eventually no_dma_bufs
finish
