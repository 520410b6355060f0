# SPDX-License-Identifier: MIT
# Cameras that fail, run out, vanish: told in words, and nothing is left behind.
# needs: v4l2-ctl test-camera-deaths test-camera-faults
# seconds: 150
. /lib/video.sh

# once_it_runs CONTROL: set when the first frames are in got.raw.
once_it_runs()
{
	eventually 20 [ -s got.raw ]
	v4l2-ctl -d "$camera" -c "$1"
}

# A control of the camera is set while 90 frames are taken.
meanwhile()
{
	rm -f got.raw
	timeout 30 dmabuf pipe "v4l2:$camera,frames=90" ! count ! - >got.raw 2>words &
	pipe=$!
	once_it_runs "$1"
	status=0
	wait $pipe || status=$?
	cat words
	[ $status -eq 0 ]
	grep -q '90 frames' words
	grep -q "$2" words
}
so "a damaged frame is dropped and counted" meanwhile inject_v4l2_buf_flag_error=1 ' [1-9] damaged'
so "a stream that fails is started again" meanwhile inject_fatal_streaming_error=1 ' [1-9] restarts'

works()
{
	run dmabuf pipe -q "v4l2:$camera,frames=3" ! null:
}

# refused CALL WORDS: told, and works again.
refused()
{
	v4l2-ctl -d "$camera" -c "inject_vidioc_$1_error=1"
	fails 1 "$2" dmabuf pipe -q "v4l2:$camera,frames=5,memory=export" ! null:
	eventually 5 no_buffers
	works
}
so "REQBUFS that fails is told" refused reqbufs "asking for buffers"
so "STREAMON that fails is told" refused streamon "it does not start"
so "QBUF that fails is told" refused qbuf "it refuses a buffer"

lost()
{
	v4l2-ctl -d "$camera" -c percentage_of_dropped_buffers=40
	run dmabuf pipe "v4l2:$camera,frames=30" ! count ! null:
	v4l2-ctl -d "$camera" -c percentage_of_dropped_buffers=0
	[ "$(sed -n 's/.* \([0-9]*\) lost.*/\1/p' words)" -ge 5 ]
	grep -q ' 0 damaged' words
}
so "frames that the driver drops are counted as lost" lost

busy()
{
	v4l2-ctl -d "$camera" --stream-mmap >other.out 2>&1 &
	other=$!
	eventually 20 grep -q '<' other.out
	fails 1 "it is in use" dmabuf pipe "v4l2:$camera" ! null:
	kill $other
	wait $other || true
	works
}
so "a camera that somebody else uses is told" busy

few_descriptors()
{
	for n in 9 12 14 16 17 18 20 24; do
		status=0
		(
			ulimit -n $n
			exec timeout 30 dmabuf pipe -q "v4l2:$camera,frames=3" ! null:
		) >words 2>&1 || status=$?
		echo "$n: $status $(cat words)"
		[ $status -eq 0 ] && continue
		[ $status -eq 1 ] || [ $status -eq 3 ]
		grep -qi "too many open files" words || grep -q descriptor words
	done
	works
	eventually 5 no_buffers
}
so "descriptors that run out are told" few_descriptors
tap test-camera-faults

killed()
{
	for ms in 02 05 10 15 25 40; do
		dmabuf pipe -q "v4l2:$camera" ! null: &
		pipe=$!
		sleep 0.$ms
		kill -9 $pipe
		wait $pipe || true
	done
	eventually 5 no_buffers
	works
}
so "a pipe killed at any moment leaves nothing with the driver" killed

# Vivid comes back once nobody has it open.
unplugged()
{
	rm -f got.raw
	once_it_runs disconnect=1 &
	control=$!
	fails 1 "the device is gone (unplugged)" sh -c "dmabuf pipe -q v4l2:$camera ! - >got.raw"
	wait $control
	eventually 5 no_buffers
	works
}
so "an unplugged camera is told, and can be used once it is back" unplugged

consumers_learn()
{
	dmabuf cast "v4l2:$camera" --socket @cam >cast.out 2>&1 &
	cast=$!
	dmabuf catch -q @cam count >catch.out 2>&1 &
	catch=$!
	eventually 20 grep -q joined cast.out
	v4l2-ctl -d "$camera" -c disconnect=1
	status=0
	wait $cast || status=$?
	[ $status -eq 1 ]
	status=0
	wait $catch || status=$?
	[ $status -eq 1 ]
	cat cast.out catch.out
	grep -q unplugged cast.out
	eventually 5 no_buffers
}
so "consumers learn that the camera is gone" consumers_learn

# And outputs: shown are frames of the other camera, which stays.
shows()
{
	v4l2-ctl -d "$output" -c "$1"
	fails 1 "$2" dmabuf pipe -q "v4l2:$contiguous,memory=export,frames=60" ! "v4l2:$output"
	eventually 5 no_buffers
	run dmabuf pipe -q "v4l2:$contiguous,memory=export,frames=3" ! "v4l2:$output"
}
so "REQBUFS that fails at an output is told" shows inject_vidioc_reqbufs_error=1 "asking for buffers"
so "STREAMON that fails at an output is told" shows inject_vidioc_streamon_error=1 "it does not start"
so "QBUF that fails at an output is told" shows inject_vidioc_qbuf_error=1 "it refuses a buffer"

# Its driver's half of a queue goes; the other half, the camera's, is told, too.
output_unplugged()
{
	dmabuf cast "v4l2:$contiguous,memory=export" --socket @cam >cast.out 2>&1 &
	cast=$!
	dmabuf catch -q @cam "v4l2:$output" >catch.out 2>&1 &
	catch=$!
	eventually 20 grep -q joined cast.out
	v4l2-ctl -d "$output" -c disconnect=1
	status=0
	wait $catch || status=$?
	cat catch.out
	[ $status -eq 1 ]
	grep -q unplugged catch.out
	# The camera goes on.
	run dmabuf catch -q @cam count -n 3
	kill $cast
	wait $cast || true
	eventually 5 no_buffers
}
so "an unplugged output is told, and the camera goes on" output_unplugged

# Each process of a camera's dies at every system call that it makes.
modprobe vgem
tap test-camera-deaths
modprobe -r vgem
video_done
