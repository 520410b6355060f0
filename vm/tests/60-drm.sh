# SPDX-License-Identifier: MIT
# DRM devices: vgem imports and exports, virtio-gpu exports. Pictures on their way to vgem are
# compared by checksum: what the pipe had, and what the driver has.
# needs: test-drm
# seconds: 120
. /tests/tap.sh

# The checksums of a report's table: those of crc32 and of drm:.
sums()
{
	echo "$1" | sed -n 's/^[23] .* \([0-9a-f]\{8\}\)$/\1/p'
}

# same WORDS SOURCE: through crc32 into vgem, with pictures that are not all the same.
same()
{
	report=$(dmabuf pipe "$2" ! crc32 ! drm:/dev/dri/card0 2>&1)
	set -- "$1" $(sums "$report")
	if [ $# -eq 3 ] && [ "$2" = "$3" ] && [ "$2" != 00000000 ]; then
		ok "$1"
	else
		not_ok "$1"
		echo "$report" | sed 's/^/# /'
	fi
}

modprobe vgem
modprobe virtio-gpu
check "two cards come" eventually 10 [ -e /dev/dri/card1 ]
tap test-drm
like "dmabuf devices lists graphics cards with what they need" "$(dmabuf devices)" \
	"^card0 +drm .*page_backed"
if [ -e /dev/udmabuf ]; then
	same "H1 vgem has the pictures of ordinary memory, byte by byte" test:320x200@60,frames=8
else
	like "H1 without udmabuf, ordinary memory is refused with the reason" \
		"$(dmabuf pipe test:64x64@60,frames=3 ! drm:/dev/dri/card0 2>&1)" "/dev/udmabuf"
fi
modprobe vivid n_devs=1
check "a camera comes" eventually 10 [ -e /dev/video0 ]
same "H1 vgem has the camera's pictures, byte by byte" \
	"v4l2:/dev/video0,memory=export,size=320x180,fps=60,frames=8"
like "H1 a driver that only exports says so" \
	"$(dmabuf pipe v4l2:/dev/video0,memory=export,frames=3 ! drm:/dev/dri/card1 2>&1)" \
	"virtio_gpu\) takes no buffers of others"

# One camera, a checksum and a card that comes, goes and is killed.
timeout 60 dmabuf cast v4l2:/dev/video0,memory=export,size=320x180 --socket /tmp/camera \
	>/tmp/cast.log 2>&1 &
cast=$!
check "a camera is cast" eventually 10 [ -S /tmp/camera ]
report=$(dmabuf catch /tmp/camera --frames 5 drm:/dev/dri/card0 2>&1)
like "H1 a card catches a camera's pictures" "$report" "vgem.*5 frames, [1-5] buffers imported"
dmabuf catch /tmp/camera drm:/dev/dri/card0 >/tmp/catch.log 2>&1 &
killed=$!
# Its sink runs.
eventually 10 grep -q . /proc/$killed/task/$killed/children
kill -9 $killed
wait $killed 2>/dev/null
like "H1 the camera goes on when a card's program is killed" \
	"$(dmabuf catch /tmp/camera --frames 5 count 2>&1)" "5 frames"
kill $cast
wait $cast
sed 's/^/# /' /tmp/cast.log
rm -f /tmp/camera
modprobe -r vivid
modprobe -r vgem
modprobe -r virtio-gpu
done_testing
