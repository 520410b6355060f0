#!/bin/sh
# SPDX-License-Identifier: MIT
# Cameras that fail, run out, vanish: told in words, and nothing is left.
. "$(dirname "$0")/v4l2-util.sh"
cd /tmp || exit 1

# Meanwhile, in half a second: a control of the camera.
soon()
{
	(
		sleep 0.5
		v4l2-ctl -d "$camera" -c "$1"
	) &
}

damaged()
{
	soon inject_v4l2_buf_flag_error=1
	run dmabuf pipe "v4l2:$camera,frames=300" ! count ! null:
	wait
	grep -q ' 1 damaged' words
	grep -q "300 frames" words
}
t "H1 a damaged frame is dropped and counted" damaged

fatal()
{
	soon inject_fatal_streaming_error=1
	run dmabuf pipe "v4l2:$camera,frames=300" ! count ! null:
	wait
	grep -q ' 1 restarts' words
	grep -q "300 frames" words
}
t "H1 a stream that fails is started again" fatal

refuses()
{
	v4l2-ctl -d "$camera" -c "inject_vidioc_$1_error=1"
	fails 1 "$2" dmabuf pipe -q "v4l2:$camera,frames=5,memory=export" ! null:
	eventually no_dma_bufs
	timeout 60 dmabuf pipe -q "v4l2:$camera,frames=5" ! null:
}
t "H1 REQBUFS that fails is told" refuses reqbufs "asking for buffers"
t "H1 STREAMON that fails is told" refuses streamon "it does not start"
t "H1 QBUF that fails is told" refuses qbuf "it refuses a buffer"

lost()
{
	v4l2-ctl -d "$camera" -c percentage_of_dropped_buffers=30
	run dmabuf pipe "v4l2:$camera,frames=100" ! count ! null:
	v4l2-ctl -d "$camera" -c percentage_of_dropped_buffers=0
	[ "$(sed -n 's/.* \([0-9]*\) lost.*/\1/p' words)" -ge 10 ]
	grep -q ' 0 damaged' words
}
t "H1 frames that the driver drops are counted as lost" lost

busy()
{
	v4l2-ctl -d "$camera" --stream-mmap --stream-count=90 &
	sleep 0.5
	fails 1 "it is in use" dmabuf pipe "v4l2:$camera" ! null:
	wait
	timeout 60 dmabuf pipe -q "v4l2:$camera,frames=5" ! null:
}
t "H1 a camera that somebody uses is told" busy

few_descriptors()
{
	for n in 8 10 12 13 14 15 16 17 18 20 22 24 28; do
		status=0
		(
			ulimit -n $n
			exec timeout 60 dmabuf pipe -q "v4l2:$camera,frames=3" ! null:
		) >out 2>&1 || status=$?
		echo "$n: $status $(cat out)"
		[ $status -eq 0 ] && continue
		[ $status -eq 1 ] || [ $status -eq 3 ]
		grep -qi "too many open files" out || grep -q "descriptor" out
	done
	timeout 60 dmabuf pipe -q "v4l2:$camera,frames=3" ! null:
	eventually no_dma_bufs
}
t "H1 descriptors that run out are told" few_descriptors

killed()
{
	for ms in 02 05 10 15 20 30 50 80; do
		dmabuf pipe -q "v4l2:$camera" ! null: &
		pipe=$!
		sleep 0.$ms
		kill -9 $pipe
		wait $pipe || true
	done
	eventually no_dma_bufs
	timeout 60 dmabuf pipe -q "v4l2:$camera,frames=5" ! null:
}
t "H1 a pipe killed at any moment leaves nothing with the driver" killed

unplugged()
{
	soon disconnect=1
	fails 1 "the device is gone (unplugged)" dmabuf pipe -q "v4l2:$camera" ! null:
	wait
	eventually no_dma_bufs
	# Vivid comes back once nobody has it open.
	timeout 60 dmabuf pipe -q "v4l2:$camera,frames=5" ! null:
}
t "H1 an unplugged camera is told, and can be used once it is back" unplugged

unplugged_cast()
{
	dmabuf cast -q "v4l2:$camera" --socket @cam >cast.out 2>&1 &
	cast=$!
	dmabuf catch -q @cam count >catch.out 2>&1 &
	catch=$!
	sleep 1
	v4l2-ctl -d "$camera" -c disconnect=1
	status=0
	wait $cast || status=$?
	[ $status -eq 1 ]
	status=0
	wait $catch || status=$?
	[ $status -eq 1 ]
	cat cast.out catch.out
	grep -q "unplugged" cast.out
	eventually no_dma_bufs
}
t "H1 consumers learn that the camera is gone" unplugged_cast

unload()
{
	eventually rmmod vivid
	modprobe vivid n_devs=2 allocators=0,1 2>/dev/null || insmod "$(ls /mods/*vivid*)" n_devs=2 allocators=0,1
}
t "H1 the driver's module can be unloaded" unload
finish
