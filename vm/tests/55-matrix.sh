# SPDX-License-Identifier: MIT
# Everybody who makes kernel dma-bufs, and everybody who is given them: a picture goes through each
# pair (docs/kernel-buffers.md has the table). And streams: what v4l2-ctl reads is what we read,
# whoever made the memory.
# needs: v4l2-ctl test-kernel-matrix
# seconds: 150
vivid="n_devs=6 allocators=0,1,0,1,0,1 node_types=0x1,0x1,0x1,0x1,0x101,0x101"
. /lib/video.sh

modprobe vgem
modprobe virtio-gpu
modprobe brd rd_nr=1 rd_size=1024
check "two cards come" eventually 10 [ -e /dev/dri/card1 ]
for instance in 002 003 004 005; do
	still "$(video $instance cap)" >/dev/null
done
connect 004 1 >/dev/null
connect 005 1 >/dev/null
v4l2-ctl -d "$camera" -v pixelformat=NV12 --stream-mmap --stream-count=1 --stream-to=ref.raw
MATRIX_PICTURE=$PWD/ref.raw tap test-kernel-matrix

# stream DEVICE MAKER [WORDS]: frame by frame, byte by byte; or refused with these words. Whether what
# a heap or a card gives lies in one piece is chance.
stream()
{
	if run dmabuf pipe -q "v4l2:$1,format=NV12,frames=4,memory=$2" ! sha256 ! null:; then
		[ "$(cut -d ' ' -f 1 words)" = "$sum" ]
	else
		[ "$3" ] && [ $status -eq 1 ] && grep -q -- "$3" words
	fi
}

sum=$(v4l2-ctl -d "$camera" -v pixelformat=NV12 --stream-mmap --stream-count=4 --stream-to=- 2>/dev/null |
	sha256sum | cut -d ' ' -f 1)
pieces="it may need it in one piece"
lacks=
has_udmabuf || lacks=CONFIG_
for maker in udmabuf dma_heap/system; do
	so "H1 a camera streams into memory of $maker, as v4l2-ctl reads it" \
		stream "$camera" $maker $lacks
	so "H1 a camera that needs one piece and memory of $maker" \
		stream "$contiguous" $maker "${lacks:-$pieces}"
done
for card in card0 card1; do
	so "H1 a camera streams into memory of $card, as v4l2-ctl reads it" \
		stream "$camera" /dev/dri/$card
	so "H1 a camera that needs one piece and memory of $card" \
		stream "$contiguous" /dev/dri/$card "$pieces"
done
so "H1 a card that is not there is told" stream "$camera" /dev/dri/card9 "cannot open /dev/dri/card9"
modprobe -r brd
modprobe -r vgem
modprobe -r virtio-gpu
video_done
