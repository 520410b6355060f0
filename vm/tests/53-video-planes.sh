# SPDX-License-Identifier: MIT
# Cameras with the multi-planar interface: planes in one piece of memory, and each in its own.
# needs: v4l2-ctl
# kernels: 6.12
vivid="n_devs=1 multiplanar=2"
. /lib/video.sh

luma=$((720 * 480))

reference()
{
	v4l2-ctl -d "$camera" -v pixelformat="$1" --stream-mmap --stream-count=3 --stream-to=ref.raw
}

one_piece()
{
	reference NV12
	run dmabuf pipe "v4l2:$camera,format=NV12,frames=3,memory=$1" ! file:got.raw
	cmp ref.raw got.raw
}
so "planes in one piece of our memory" one_piece import
so "planes in one piece of the driver's memory" one_piece export

# In a buffer of ours the second plane begins at a multiple of 64 KiB, for v4l2-ctl at once.
own_pieces()
{
	reference NM12
	run dmabuf pipe "v4l2:$camera,format=NM12,frames=3" ! file:got.raw
	chroma=$(((luma + 65535) / 65536 * 65536))
	[ "$(wc -c <got.raw)" -eq $((3 * (chroma + luma / 2))) ]
	for n in 0 1 2; do
		at=$((n * (chroma + luma / 2)))
		tail -c +$((at + 1)) got.raw | head -c $luma >planes
		tail -c +$((at + chroma + 1)) got.raw | head -c $((luma / 2)) >>planes
		tail -c +$((n * luma * 3 / 2 + 1)) ref.raw | head -c $((luma * 3 / 2)) | cmp - planes
	done
}
so "planes in pieces of their own, in one buffer" own_pieces

so "pieces of their own are not exported" fails 1 "choose a format in one piece" \
	dmabuf pipe "v4l2:$camera,format=NM12,memory=export" ! null:

# From a multi-planar camera to a multi-planar output.
shows()
{
	run dmabuf pipe "v4l2:$camera,format=NV12,frames=20" ! "v4l2:$output"
	grep -q ' 0 damaged, 0 lost' words
}
so "a multi-planar output shows them" shows
video_done
