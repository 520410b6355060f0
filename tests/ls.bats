#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# dmabuf ls: what buffers there are, seen from outside.
load pipe-util.bash

# A pipe that waits for input; $pipe is its process. 2 buffers have been through all elements.
start()
{
	mkfifo fifo
	"$DMABUF" pipe -q --size 4K --buffers 2 - ! sha256 ! tee:copy ! file:out <fifo 2>err >sums &
	pipe=$!
	exec 7>fifo
	head -c 81920 /dev/zero >&7
	until_true attached
}

finish()
{
	exec 7>&-
	wait "$pipe"
}

attached()
{
	"$DMABUF" ls --json >list
	[ "$(mine 'len(mine), sum(len(b["attachments"]) for b in mine)')" = "(2, 4)" ]
}

# An expression over the buffers of $pipe in the file list.
mine()
{
	python3 - "$pipe" "$1" <<'PYTHON'
import json, sys
prefix = f"pipe {sys.argv[1]}/"
mine = [b for b in json.load(open("list"))["buffers"] if b.get("name", "").startswith(prefix)]
print(eval(sys.argv[2]))
PYTHON
}

@test "G1 a running pipe's buffers are listed with holders and attachments" {
	start
	[ "$(mine 'sorted(b["name"] for b in mine)')" = "['pipe $pipe/0', 'pipe $pipe/1']" ]
	[ "$(mine '[b["size"] for b in mine]')" = "[4096, 4096]" ]
	[ "$(mine 'sorted(h["label"] for h in mine[0]["holders"])')" = \
		"['1 -', '2 sha256', '3 tee:copy', '4 file:out', 'dmabuf']" ]
	[ "$(mine '[h["pid"] for h in mine[0]["holders"] if h["exporter"]]')" = "[$pipe]" ]
	[ "$(mine 'sorted(p["pid"] for p in mine[0]["processes"])')" = \
		"[$pipe, $(elements "$pipe" | sed 's/ *$//; s/ /, /g')]" ]
	[ "$(mine 'sorted((a["device"], a["direction"], a["mapped"]) for a in mine[0]["attachments"])')" = \
		"[('copy', 'to-device', 1), ('out', 'to-device', 1)]" ]
	[ "$(mine 'mine[0]["counters"]["maps"]')" = 2 ]
	finish
}

@test "G1 the text says the same" {
	start
	"$DMABUF" ls >text
	grep -q " 4.0 KiB  pipe $pipe/0 .* memfd " text
	grep -q "holder $pipe .*dmabuf, exporter" text
	grep -q "device out of .*, mapped, to-device" text
	"$DMABUF" ls --short >text
	[ "$(grep -c " pipe $pipe/" text)" -eq 2 ]
	! grep -q holder text
	finish
}

@test "G1 looking changes nothing" {
	start
	"$DMABUF" ls --json >first
	"$DMABUF" ls --json >second
	mv first list
	first=$(mine mine)
	mv second list
	[ "$(mine mine)" = "$first" ]
	finish
}

@test "G1 the JSON list has the fields that it always had" {
	start
	[ "$(json list '" ".join(d)')" = "schema buffers processes processes_denied" ]
	[ "$(json list 'd["schema"]')" = "dmabuf-ls/1" ]
	[ "$(mine '" ".join(mine[0])')" = "inode device kind size name exporter exporter_alive read_only split storage counters holders attachments accesses constraints processes" ]
	[ "$(mine '" ".join(mine[0]["holders"][0])')" = "pid label alive exporter storage_accesses" ]
	[ "$(mine '" ".join(mine[0]["attachments"][0])')" = "device pid mapped direction parameters usage known vouched" ]
	finish
}

# Processes with locks and fences; sets their numbers.
start_cast()
{
	mkfifo order said
	"$LS_CAST" "cast $$" <order >said &
	exec 8>order 9<said
	read -r exporter reader locker <&9
}

finish_cast()
{
	exec 8>&- 9<&-
	kill -9 "$exporter" "$reader" "$locker" 2>/dev/null || true
	wait || true
}

# An expression over the accesses of that buffer.
accesses()
{
	"$DMABUF" ls --json >list
	python3 - "cast $$" "$1" <<'PYTHON'
import json, sys
b = [b for b in json.load(open("list"))["buffers"] if b.get("name") == sys.argv[1]][0]
a = {x["label"].split("?")[0]: x for x in b["accesses"]}
print(eval(sys.argv[2]))
PYTHON
}

@test "G1 locks, waiters and fences are listed" {
	start_cast
	[ "$(accesses '[a["camera"][k] for k in ("kind", "state", "pid", "usage", "write", "device", "alive")]')" = \
		"['fence', 'held', $exporter, 'write', True, True, True]" ]
	[ "$(accesses '[a["reader"][k] for k in ("kind", "state", "pid", "usage", "write", "start", "length")]')" = \
		"['lock', 'waiting', $reader, None, False, 64, 128]" ]
	[ "$(accesses 'a["camera"]["ticket"] < a["reader"]["ticket"]')" = True ]
	[ "$(accesses '[a["ls-cast"][k] for k in ("kind", "state", "pid", "context")]')" = \
		"['object-lock', 'held', $locker, True]" ]
	finish_cast
}

@test "G1 the text lists them, and what others wrote cannot steer a terminal" {
	start_cast
	"$DMABUF" ls >text
	grep -q "^  fence $exporter .*camera?\[31m, held to write by DMA, for write" text
	grep -q "^  lock $reader .*reader, waiting to read by CPU, bytes 64 + 128" text
	grep -q "^  object-lock $locker .*ls-cast, held, in a context" text
	! grep -q $'\e' text
	finish_cast
}

@test "F1 F2 devices are listed with all that they need, alone and together" {
	start_cast
	[ "$(accesses '[(x["device"], x["usage"], x["known"], x["vouched"]) for x in b["attachments"]]')" = \
		"[('scanner', 'from-device', True, False), ('display', 'bidirectional', True, False)]" ]
	[ "$(accesses '[b["attachments"][0]["parameters"][k] for k in ("max_segment_size", "page_backed", "named")]')" = \
		"[65536, True, []]" ]
	[ "$(accesses 'b["attachments"][1]["parameters"]["named"]')" = \
		"[{'name': 'stride_alignment', 'rule': 1, 'ignorable': False, 'value': 256}]" ]
	[ "$(accesses '[b["constraints"][k] for k in ("max_segment_size", "max_segment_count", "page_backed", "contiguous")]')" = \
		"[65536, 16, True, False]" ]
	"$DMABUF" ls >text
	grep -q "^  device scanner of $exporter, not mapped, none, writes only$" text
	grep -q "^    max_segment_size 64K, page_backed$" text
	grep -q "^    max_segment_count 16, dma_mask 0x7fffffffffffffff, stride_alignment 256$" text
	grep -q "^  together max_segment_size 64K, max_segment_count 16, dma_mask 0x7fffffffffffffff, page_backed, stride_alignment 256$" text
	finish_cast
}

exporter_is_gone()
{
	[ "$(accesses '(b["exporter_alive"], [a[x]["state"] for x in ("camera", "reader", "ls-cast")])')" = \
		"(False, ['torn', 'held', 'held'])" ]
}

@test "G1 they are listed after the exporter's death, and what it left torn" {
	start_cast
	kill -9 "$exporter"
	until_true exporter_is_gone
	"$DMABUF" ls >text
	grep -q "^  fence .*camera?.*, torn to write by CPU, for write" text
	finish_cast
}

@test "G1 a memfd that only has the name is told as what it is" {
	python3 - "$DMABUF" <<'PYTHON'
import json, os, subprocess, sys
fd = os.memfd_create("dmabuf:liar", os.MFD_ALLOW_SEALING)
os.write(fd, b"not a buffer" * 1000)
inode = os.fstat(fd).st_ino
out = subprocess.run([sys.argv[1], "ls", "--json"], capture_output=True, check=True).stdout
mine = [b for b in json.loads(out)["buffers"] if b["inode"] == inode]
assert len(mine) == 1 and mine[0]["problem"] and "size" not in mine[0], mine
text = subprocess.run([sys.argv[1], "ls"], capture_output=True, check=True).stdout
assert b"cannot be read" in text, text
PYTHON
}

@test "a process of somebody else is counted, not guessed at" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to be somebody else"
	run setpriv --reuid 65534 --regid 65534 --clear-groups env \
		LD_LIBRARY_PATH="$(dirname "$DMABUF")/../src" "$DMABUF" ls --json
	[ "$status" -eq 0 ] || skip "the build directory cannot be reached by others"
	echo "$output" >list
	[ "$(json list 'd["processes_denied"] > 0')" = True ]
}

@test "colours come when asked for, and NO_COLOR is minded" {
	[[ $("$DMABUF" ls --color=always | head -n 1) == $'\e[1m'* ]]
	[[ $("$DMABUF" ls | head -n 1) == INODE* ]]
	[[ $(script -qec "env NO_COLOR=1 TERM=xterm '$DMABUF' ls" /dev/null | head -n 1) == INODE* ]]
	[[ $(script -qec "env -u NO_COLOR TERM=xterm '$DMABUF' ls" /dev/null | head -n 1) == $'\e[1m'* ]]
}
