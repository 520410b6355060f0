# SPDX-License-Identifier: MIT
# Cameras: the same bytes as v4l2-ctl reads, in our memory and in the driver's; and outputs.
# needs: v4l2-ctl
# seconds: 150
. /lib/video.sh

# same DEVICE FORMAT MEMORY: frame by frame, byte by byte.
same()
{
	[ "$3" = export ] || has_udmabuf || skip "no /dev/udmabuf"
	rm -f ref.raw got.raw
	v4l2-ctl -d "$1" -v pixelformat="$2" --stream-mmap --stream-count=4 --stream-to=ref.raw
	run dmabuf pipe "v4l2:$1,format=$2,frames=4,memory=$3" ! file:got.raw
	[ "$(wc -c <ref.raw)" -gt 1000000 ]
	cmp ref.raw got.raw
}

so "NV12 in our memory is what v4l2-ctl reads" same "$camera" NV12 import
so "NV12 in the driver's memory is what v4l2-ctl reads" same "$camera" NV12 export
so "NV12 in contiguous memory is what v4l2-ctl reads" same "$contiguous" NV12 export
so "YUYV in the driver's memory is what v4l2-ctl reads" same "$camera" YUYV export
so "RGB3 in our memory is what v4l2-ctl reads" same "$camera" RGB3 import

# chooses DEVICE WORDS
chooses()
{
	run dmabuf pipe "v4l2:$1,frames=3" ! null:
	grep -q "$2" words
}

if has_udmabuf; then
	so "ordinary memory is given to a driver that takes it" chooses "$camera" "our memory"
	so "what needs contiguous memory is found out by a trial" chooses "$contiguous" \
		"the driver's memory (ours was refused: Bad address)"
	so "memory in pieces is refused in words" fails 1 "it may need it in one piece" \
		dmabuf pipe "v4l2:$contiguous,memory=import" ! null:
else
	so "without udmabuf the driver's memory is taken" chooses "$camera" \
		"the driver's memory (ours was refused: Operation not supported)"
	so "that udmabuf is missing is told" fails 1 "this kernel has no /dev/udmabuf" \
		dmabuf pipe "v4l2:$camera,memory=import" ! null:
fi

checksum()
{
	v4l2-ctl -d "$camera" -v pixelformat=NV12 --stream-mmap --stream-count=4 --stream-to=ref.raw
	run dmabuf pipe -q "v4l2:$camera,format=NV12,frames=4" ! sha256 ! null:
	[ "$(cut -d ' ' -f 1 words)" = "$(sha256sum ref.raw | cut -d ' ' -f 1)" ]
}
so "the checksum is that of what v4l2-ctl reads" checksum

# One call queues a frame and one reaps it, nothing is copied; a few are for what is under way.
two_calls()
{
	run dmabuf pipe "v4l2:$camera,frames=30" ! null:
	calls=$(sed -n 's/.* \([0-9]*\) calls.*/\1/p' words)
	[ "$calls" -ge 60 ] && [ "$calls" -le 75 ]
}
so "a frame costs two calls to the driver" two_calls

is_seen()
{
	dmabuf pipe -q "v4l2:$camera,format=NV12,frames=1" ! file:seen.raw
	cmp -s seen.raw ref.raw
}

# From one camera to an output, from there through a wire to the other: each frame whole.
loops()
{
	v4l2-ctl -d "$contiguous" -c test_pattern=4
	v4l2-ctl -d "$contiguous" -v pixelformat=NV12 --stream-mmap --stream-count=1 --stream-to=ref.raw
	connect 000 1
	timeout 60 dmabuf pipe -q "v4l2:$contiguous,format=NV12" ! "v4l2:$output" &
	pipe=$!
	eventually 10 is_seen
	run dmabuf pipe -q "v4l2:$camera,format=NV12,frames=10" ! file:seen.raw
	kill $pipe
	wait $pipe || true
	connect 000 0
	v4l2-ctl -d "$contiguous" -c test_pattern=1
	size=$((720 * 480 * 3 / 2))
	[ "$(wc -c <seen.raw)" -eq $((10 * size)) ]
	for i in 0 3 6 9; do
		dd if=seen.raw bs=$size skip=$i count=1 2>/dev/null | cmp - ref.raw
	done
}
so "what goes to an output comes back from a camera, byte by byte" loops

# shows SOURCE: all of it, and whole.
shows()
{
	run dmabuf pipe "$1" ! "v4l2:$output"
	grep -q ' 0 damaged, 0 lost' words
}
if has_udmabuf; then
	so "an output shows the library's own memory" shows test:640x360@60,frames=30
else
	so "an output cannot show ordinary memory without udmabuf, and says so" \
		fails 1 "this kernel has no /dev/udmabuf" \
		dmabuf pipe test:640x360@60,frames=30 ! "v4l2:$output"
fi
so "an output shows a camera's own memory" shows "v4l2:$camera,format=NV12,memory=export,frames=30"

so "a format that a camera has not is refused" fails 1 "has no format Q4Q4" \
	dmabuf pipe "v4l2:$camera,format=Q4Q4" ! null:
so "frames that are no pictures are refused" fails 1 "the frames are no pictures" \
	dmabuf pipe null:frames=3 ! "v4l2:$output"
so "an output is no source" fails 1 "use it as a sink" dmabuf pipe "v4l2:$output" ! null:
so "a camera is no sink" fails 1 "use it as a source" dmabuf pipe null: ! "v4l2:$camera"
video_done
