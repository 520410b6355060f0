# SPDX-License-Identifier: MIT
# What a camera's frame costs from `dmabuf cast` to `dmabuf catch`, counted by the kernel's tracing
# while they run: each system call of all four processes, the bytes that went through it, and the
# frames that the camera gave meanwhile.
# needs: v4l2-ctl
. /lib/video.sh

events=/sys/kernel/tracing/events
frames=60

trace()
{
	echo 'hist:keys=common_pid,id.syscall:size=4096' >$events/raw_syscalls/sys_enter/trigger
	echo 'hist:keys=common_pid,id.syscall:vals=ret:size=4096 if ret > 0' >$events/raw_syscalls/sys_exit/trigger
	echo 'hist:keys=minor' >$events/v4l2/v4l2_dqbuf/trigger
}

untrace()
{
	for event in raw_syscalls/sys_enter raw_syscalls/sys_exit v4l2/v4l2_dqbuf; do
		echo "!$(grep -o '^hist:[^ ]*' $events/$event/trigger)" >$events/$event/trigger
	done
}

given()
{
	sed -n 's/^ *Hits: //p' $events/v4l2/v4l2_dqbuf/hist
}

# taken FRAMES: so many, or more, were given back by the sink.
taken()
{
	times=$(sed -n "s/.*common_pid: *$sink, id: sys_sendmsg .*hitcount: *//p" \
		$events/raw_syscalls/sys_enter/hist)
	[ "${times:-0}" -ge "$1" ]
}

# element COMMAND-PID: the process that does its work
element()
{
	tr -d ' ' <"/proc/$1/task/$1/children" | grep .
}

# Lines of {frame -, how many} and of {process, call, times, bytes returned} so far.
snapshot()
{
	echo "frame - $(given)"
	sed -n 's/^{ common_pid: *\([0-9]*\), id: \([a-z0-9_]*\).*hitcount: *\([0-9]*\) *\(ret: *\([0-9]*\)\)*.*/\1 \2 \3 \5/p' \
		$events/raw_syscalls/sys_enter/hist $events/raw_syscalls/sys_exit/hist
}

# The table of a frame from two snapshots: who, call, times, bytes.
per_frame()
{
	awk -v source="$source" -v sink="$sink" -v cast="$cast" -v catch="$catch" '
	BEGIN { who[source] = "source"; who[sink] = "sink"; who[cast] = who[catch] = "commands" }
	{ sign = FILENAME == "before" ? -1 : 1 }
	$1 == "frame" { frames += sign * $3 }
	$1 in who && NF == 3 { times[who[$1] " " $2] += sign * $3 }
	$1 in who && NF == 4 { bytes[who[$1] " " $2] += sign * $4 }
	END {
		for (k in times)
			if (times[k] > 1)
				printf "%s %.2f %d\n", k, times[k] / frames, bytes[k] / frames
	}' before after | sort >frame
}

stream()
{
	trace
	timeout 50 dmabuf cast -q "v4l2:$camera,format=NV12,memory=export" --socket @cam --wait 1 &
	cast=$!
	timeout 50 dmabuf catch -q @cam null: &
	catch=$!
	eventually 20 element $cast
	eventually 20 element $catch
	source=$(element $cast) sink=$(element $catch)
	eventually 20 taken 20
	snapshot >before
	cat /proc/$source/maps /proc/$sink/maps >maps
	cut -d ' ' -f 10 /proc/$source/stat /proc/$sink/stat >faults
	eventually 20 taken $((20 + frames))
	snapshot >after
	cat /proc/$source/maps /proc/$sink/maps >>maps
	cut -d ' ' -f 10 /proc/$source/stat /proc/$sink/stat >>faults
	kill -TERM $cast
	wait $catch || true
	untrace
	per_frame
}
so "H1 a camera streams while its calls are counted" stream
sed 's/^/# /' frame
echo "# page faults of source and sink, before and after: $(tr '\n' ' ' <faults)"

# At most so many times a frame, and half a time what is not here. A frame, and its way back, wake the
# source once each; a receive that finds nothing is how source and sink know that there is no more,
# and the sink that it has to sleep. The clock is a system call where the machine's is a bad one.
# Reports (sendto and the commands' calls) go with the time: more a frame where frames are few.
cat >limits <<END
source ioctl 2.5
source poll 2.5
source epoll_wait 3.5
source sendmsg 1.5
source recvmsg 2.5
source sendto 4
source clock_gettime 32
sink sendto 2
sink recvmsg 2.5
sink sendmsg 1.5
sink clock_gettime 10
commands poll 5
commands recvfrom 8
commands clock_gettime 20
END

within_limits()
{
	awk '
	FNR == NR { limit[$1 " sys_" $2] = $3; next }
	{ k = $1 " " $2; most = k in limit ? limit[k] : 0.5; if ($3 > most) { print k, $3, "is more than", most; bad = 1 } }
	k == "source sys_ioctl" && $3 > 1.2 { seen++ }
	k == "sink sys_recvmsg" && $3 > 0.1 { seen++ }
	END { exit bad || seen != 2 }' limits frame
}
so "H1 a frame costs no system call more than it should" within_limits

# Messages are the largest: 120 bytes with a frame, 48 on its way back, and reports. Who does not map
# the frames cannot copy them by other means, and would have page faults.
no_copy()
{
	awk '$2 ~ /read|write|send|recv|splice|tee|copy/ && $4 > 20000 { print; bad = 1 } END { exit bad || !NR }' frame
	[ "$(grep -c '\[stack\]' maps)" -eq 4 ]
	! grep '/dmabuf:' maps
	awk '{ f[NR] = $1 } END { exit NR != 4 || f[3] + f[4] - f[1] - f[2] > 60 }' faults
}
so "H1 no payload goes through a system call, and nobody maps it" no_copy
video_done
