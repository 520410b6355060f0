# SPDX-License-Identifier: MIT
# One camera, many consumers: they come, go and die, and the camera is never without a buffer.
# needs: v4l2-ctl
# seconds: 150
. /lib/video.sh

never_starved()
{
	cat cast.json
	grep -q ' 0 times without a buffer' cast.json
}

# many MEMORY
many()
{
	[ "$1" = export ] || has_udmabuf || skip "no /dev/udmabuf"
	rm -rf shots a.raw
	mkdir shots
	v4l2-ctl -d "$camera" -v pixelformat=NV12 --stream-mmap --stream-count=20 --stream-to=ref.raw
	timeout 60 dmabuf cast --json "v4l2:$camera,format=NV12,frames=240,memory=$1" \
		--socket @cam --wait 4 >cast.json &
	cast=$!
	dmabuf catch -q @cam file:a.raw -n 20 &
	file=$!
	dmabuf catch -q @cam png:shots --every 1 &
	png=$!
	dmabuf catch -q @cam "v4l2:$output" &
	shown=$!
	dmabuf catch -q @cam null: &
	dies=$!
	sleep 1
	kill -9 $dies
	dmabuf catch -q @cam count -n 20 &
	late=$!
	for pid in $file $late $cast $png $shown; do
		wait $pid
	done
	cmp a.raw ref.raw
	[ "$(ls shots | wc -l)" -ge 2 ]
	grep -q '"result": "ok"' cast.json
	grep -q '"frames": 240' cast.json
	never_starved
}
so "a file, pictures and an output share a camera's own memory" many export
so "a file, pictures and an output share the library's memory" many import

stopped()
{
	timeout 60 dmabuf cast --json "v4l2:$camera,frames=150" --socket @cam --wait 1 >cast.json &
	cast=$!
	dmabuf catch -q @cam null: &
	catch=$!
	sleep 0.5
	elements=$(cat /proc/$catch/task/$catch/children)
	kill -STOP $elements
	sleep 1.5
	kill -CONT $elements
	wait $cast
	wait $catch
	never_starved
}
so "a consumer that is stopped takes nothing from the camera" stopped

dies_at_each_step()
{
	timeout 60 dmabuf cast --json "v4l2:$camera" --socket @cam >cast.json &
	cast=$!
	sleep 1
	for ms in 02 05 08 12 18 26; do
		dmabuf catch -q @cam null: &
		catch=$!
		sleep 0.$ms
		kill -9 $catch
		wait $catch || true
	done
	dmabuf catch -q @cam count -n 60
	kill -TERM $cast
	wait $cast || true
	never_starved
}
so "consumers that die at any moment leave the camera running" dies_at_each_step
video_done
