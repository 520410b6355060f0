# SPDX-License-Identifier: MIT
# What this machine has, as `dmabuf devices`, `solve` and `doctor` see it: cameras, graphics cards, a
# disk, heaps; and what a card's display shows.
# needs: drm-show
# seconds: 90
. /tests/tap.sh

modprobe vgem
modprobe virtio-gpu
modprobe vivid n_devs=1
check "two cards come" eventually 10 [ -e /dev/dri/card1 ]
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
# What a display shows is grabbed while its program changes it.
mkfifo show shown
drm-show /dev/dri/card1 one.raw two.raw <show >shown 2>&1 &
exec 7>show 8<shown
shows()
{
	echo >&7
	read -r answer <&8
	[ "$answer" = shown ]
}
check "a display shows a picture" shows
check "it is grabbed" dmabuf pipe drm:/dev/dri/card1,frames=2,fps=50 ! file:got.raw
cat one.raw one.raw >both.raw
check "H1 it is what the display shows, byte by byte" cmp got.raw both.raw
dmabuf cast drm:/dev/dri/card1,fps=20 --socket @screen >cast.log 2>&1 &
cast=$!
is "H1 a consumer in another process sees it" \
	"$(dmabuf catch -q @screen -n 1 - | cksum)" "$(cksum <one.raw)"
check "the display shows another picture" shows
seen()
{
	[ "$(dmabuf catch -q @screen -n 1 - | cksum)" = "$(cksum <two.raw)" ]
}
check "H1 which the cast follows" eventually 10 seen
check "H1 and which becomes a PNG" sh -c 'mkdir screen && dmabuf catch -q @screen -n 1 png:screen && ls screen/*.png'
kill $cast
exec 7>&- 8<&-
like "H1 a card without displays says so" "$(dmabuf pipe drm:/dev/dri/card0 ! null: 2>&1)" "vgem\) has no displays"
like "options that are none are refused" "$(dmabuf pipe drm:/dev/dri/card0,fps=0 ! null: 2>&1)" '"fps=0" is not frames=N'
wait
modprobe -r vivid
modprobe -r brd
modprobe -r vgem
modprobe -r virtio-gpu
done_testing
