#!/bin/sh
# SPDX-License-Identifier: MIT
# One camera, many consumers: they come, go and die; the camera is never without a buffer.
. "$(dirname "$0")/v4l2-util.sh"
cd /tmp || exit 1

# many MEMORY
many()
{
	[ "$1" = export ] || has_udmabuf || skip "no /dev/udmabuf"
	rm -rf shots a.raw ref.raw
	mkdir shots
	v4l2-ctl -d "$camera" -v pixelformat=NV12 --stream-mmap --stream-count=30 --stream-to=ref.raw
	timeout 100 dmabuf cast --json "v4l2:$camera,format=NV12,frames=400,memory=$1" \
		--socket @cam --wait 3 >cast.json &
	cast=$!
	dmabuf catch -q @cam file:a.raw -n 30 &
	file=$!
	dmabuf catch -q @cam png:shots --every 1 &
	png=$!
	dmabuf catch -q @cam "v4l2:$output" &
	shown=$!
	# One that never gives a frame back, one that dies with some, one that comes late.
	dmabuf catch -q @cam "exec:sleep 100" &
	lazy=$!
	sleep 2
	dmabuf catch -q @cam null: &
	dies=$!
	sleep 0.5
	kill -9 $dies $lazy
	dmabuf catch -q @cam count -n 20 &
	late=$!
	wait $file
	wait $late
	wait $cast
	wait $png
	wait $shown
	cat cast.json
	cmp a.raw ref.raw
	[ "$(ls shots | wc -l)" -ge 2 ]
	grep -q '"result": "ok"' cast.json
	grep -q ' 0 times without a buffer' cast.json
	grep -q ' 0 damaged' cast.json
}
t "H1 a file, pictures and an output share a camera's exported buffers" many export
t "H1 a file, pictures and an output share buffers of our memory" many import

stopped()
{
	timeout 100 dmabuf cast --json "v4l2:$camera,frames=300" --socket @cam --wait 1 >cast.json &
	cast=$!
	dmabuf catch -q @cam null: &
	slow=$!
	sleep 1
	elements=$(cat /proc/$slow/task/$slow/children)
	kill -STOP $elements
	sleep 2
	kill -CONT $elements
	wait $cast
	wait $slow
	cat cast.json
	grep -q ' 0 times without a buffer' cast.json
}
t "H1 a stopped consumer takes nothing from the camera" stopped

dies_at_each_step()
{
	timeout 100 dmabuf cast --json "v4l2:$camera" --socket @cam >cast.json 2>cast.err &
	cast=$!
	for ms in 01 02 03 05 08 10 15 20 30 50; do
		dmabuf catch -q @cam null: &
		catch=$!
		sleep 0.$ms
		kill -9 $catch
		wait $catch || true
	done
	dmabuf catch -q @cam count -n 10
	kill -TERM $cast || cat cast.err
	wait $cast || true
	cat cast.json cast.err
	grep -q ' 0 times without a buffer' cast.json
}
t "H1 consumers that die at any moment leave the camera running" dies_at_each_step

t "H1 nothing is left behind" eventually no_dma_bufs
finish
