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
check "a disk comes" modprobe brd rd_nr=1 rd_size=4096
list=$(dmabuf devices)
like "dmabuf devices lists cameras with what they need" "$list" "^video0 +v4l2 .*cpu_needed"
like "and says where that is known from" "$list" "\(vivid, captures; known of its driver\)"
like "and where a card's needs are from" "$list" "\(virtio-pci; .*known of its driver\)"
like "and heaps" "$list" "^udmabuf +$([ -e /dev/udmabuf ] && echo yes || echo no) "
like "a camera, a card and a disk share memory" \
	"$(dmabuf solve -s 1M v4l2:/dev/video0 drm:/dev/dri/card0:read /dev/ram0)" "^Memory from memfd"
if [ -e /dev/udmabuf ]; then
	like "what a camera takes is found by trial" "$(dmabuf devices --try)" "vivid, captures; .*found by trial"
	like "doctor finds the camera" "$(dmabuf doctor)" "^yes +video0 .*vivid, captures$"
else
	like "without udmabuf there is no trial" "$(dmabuf devices --try)" "vivid, captures; known of its driver\)"
	like "doctor says what a camera lacks without udmabuf" "$(dmabuf doctor)" \
		"^yes +video0 .*without udmabuf in memory of its own only"
fi
like "doctor finds the cards" "$(dmabuf doctor)" "^yes +card1 "
mv /dev/video0 /dev/gone
like "a camera that cannot be opened is listed" "$(dmabuf devices)" "cannot be opened: No such file"
like "and no plan is made with it" "$(dmabuf solve -s 1M video0 2>&1)" "nothing is known of video0"
mv /dev/gone /dev/video0
modprobe -r brd
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
