# SPDX-License-Identifier: MIT
# One camera, many consumers: they come, go and die, and the camera is never without a buffer.
# needs: v4l2-ctl
# seconds: 150
. /lib/video.sh

# Without --json it tells of each consumer that joins.
casting()
{
	timeout 60 dmabuf cast "$@" --socket @cam >cast.out 2>&1 &
	cast=$!
}

never_starved()
{
	cat cast.out
	grep -q ' 0 times without a buffer' cast.out
}

has_shot()
{
	ls shots | grep -q png
}

# What a slow consumer missed is no damage: each frame is the same. It has some, and whole ones.
is_the_beginning()
{
	size=$(wc -c <"$1")
	[ "$size" -gt 0 ] && [ $((size % (720 * 480 * 3 / 2))) -eq 0 ]
	head -c "$size" "$2" | cmp - "$1"
}

# many MEMORY
many()
{
	[ "$1" = export ] || has_udmabuf || skip "no /dev/udmabuf"
	rm -rf shots a.raw
	mkdir shots
	v4l2-ctl -d "$camera" -v pixelformat=NV12 --stream-mmap --stream-count=20 --stream-to=ref.raw
	casting --json "v4l2:$camera,format=NV12,frames=90,memory=$1" --wait 4
	dmabuf catch -q @cam file:a.raw -n 20 &
	file=$!
	dmabuf catch -q @cam png:shots --every 0.2 &
	png=$!
	dmabuf catch -q @cam "v4l2:$output" &
	shown=$!
	dmabuf catch -q @cam null: &
	dies=$!
	eventually 20 has_shot
	kill -9 $dies || true
	for pid in $file $cast $png $shown; do
		wait $pid
	done
	is_the_beginning a.raw ref.raw
	grep -q '"result": "ok"' cast.out
	grep -q '"frames": 90' cast.out
	never_starved
}
so "a file, pictures and an output share a camera's own memory" many export
so "a file, pictures and an output share the library's memory" many import

stopped()
{
	casting "v4l2:$camera,frames=90" --wait 2
	dmabuf catch -q @cam null: &
	catch=$!
	eventually 20 grep -q joined cast.out
	elements=$(cat /proc/$catch/task/$catch/children)
	kill -STOP $elements
	dmabuf catch -q @cam count -n 60
	kill -CONT $elements
	wait $cast
	wait $catch
	never_starved
}
so "a consumer that is stopped takes nothing from the camera" stopped

dies_at_each_step()
{
	casting --json "v4l2:$camera"
	eventually 20 grep -q @cam /proc/net/unix
	for ms in 02 05 08 12 18 26; do
		dmabuf catch -q @cam null: &
		catch=$!
		sleep 0.$ms
		kill -9 $catch
		wait $catch || true
	done
	dmabuf catch -q @cam count -n 20
	kill -TERM $cast
	wait $cast || true
	never_starved
}
so "consumers that die at any moment leave the camera running" dies_at_each_step
video_done
