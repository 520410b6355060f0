#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# dmabuf solve, devices, doctor.
load pipe-util.bash

# A display that needs contiguous memory, a camera, a GPU; heaps that do not depend on the machine.
describe()
{
	cat >scene.json <<-JSON
		{ "devices": [
		  { "name": "camera", "direction": "from-device",
		    "parameters": { "max_segment_size": "64K", "min_buffers": 3 },
		    "write_parameters": { "address_alignment": 64 } },
		  { "name": "display", "direction": "to-device",
		    "parameters": { "contiguous": true, "physical": true, "dma_mask": "0xffffffff",
		                    "min_buffers": 2 } },
		  { "name": "gpu", "parameters": { "noncoherent": true, "preferred_segment_size": "1M" } }
		  ],
		  "heaps": [
		  { "name": "pages", "chunk": "4K", "granule": "4K" },
		  { "name": "huge", "chunk": "2M", "alignment": "2M", "granule": "2M", "cost": 40,
		    "highest_address": "0x7fffffff" } ]
		}
	JSON
}

@test "F9 solve prints the plan that suits all devices" {
	describe
	run "$DMABUF" solve --size 2M --file scene.json
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "Memory from huge: 2 MiB, aligned to 2 MiB, in one piece" ]
	[[ $output == *"camera: 32 segments at most, up to 64 KiB"* ]]
	[[ $output == *"gpu: 32 segments at most, up to 64 KiB, cache maintenance"* ]]
	[[ $output == *"Buffers: 5 (needed 5, preferred 5)"* ]]
	[[ $output == *"pages: display needs 2 MiB in one piece, its pieces are 4 KiB"* ]]
}

@test "F9 the order in which devices are named changes nothing but the order of lines" {
	describe
	"$DMABUF" solve -s 2M -f scene.json camera display gpu | sort >one
	"$DMABUF" solve -s 2M -f scene.json gpu display camera | sort >other
	diff one other
}

@test "F4 solve says why there is no plan, with both values and what would help, and exits with 1" {
	describe
	run "$DMABUF" solve --size 3M --file scene.json
	[ "$status" -eq 1 ]
	[[ $output == *"display: contiguous"* ]]
	[[ $output == *"needs 3 MiB in one piece, its pieces are 2 MiB"* ]]
	[[ $output == *"use buffers of at most 2 MiB"* ]]
	[[ $output == *"drop contiguous on display"* ]]
	[[ $output == *"add a heap that offers 3 MiB"* ]]
}

@test "F9 a device may be there for reading or for writing only" {
	describe
	"$DMABUF" solve -s 2M -f scene.json --json camera:read >read
	"$DMABUF" solve -s 2M -f scene.json --json camera:write >write
	[ "$(json read 'd["merged"]["address_alignment"]')" = 0 ]
	[ "$(json write 'd["merged"]["address_alignment"]')" = 64 ]
}

@test "F4 the JSON answer has the same, and the fields that it always had" {
	describe
	"$DMABUF" solve -s 2M -f scene.json --json >plan
	[ "$(json plan '" ".join(d)')" = "schema possible size planes merged alternatives participants exporter rejections conflicts relaxations text" ]
	[ "$(json plan 'd["schema"]')" = dmabuf-solve/1 ]
	[ "$(json plan 'd["possible"], d["alternatives"][0]["heap"]')" = "(True, 'huge')" ]
	[ "$(json plan '[p["segments"] for p in d["participants"]]')" = "[32, 32, 32]" ]
	"$DMABUF" solve -s 3M -f scene.json --json >none || [ $? -eq 1 ]
	[ "$(json none 'd["possible"], d["conflicts"][0][0]["parameter"]')" = "(False, 'contiguous')" ]
	[ "$(json none '[c["to"] for r in d["relaxations"] for c in r if c["parameter"] == "size"]')" = "[2097152]" ]
}

@test "F1 planes, named parameters and buffer limits come from the file and the command line" {
	cat >picture.json <<-JSON
		{ "planes": [ { "bytes_per_line": 1920, "lines": 1080 },
		              { "bytes_per_line": 1920, "lines": 540 } ],
		  "devices": [ { "name": "display", "parameters": { "min_buffers": 3, "named": [
		    { "name": "stride_alignment", "rule": "max", "value": 256 },
		    { "name": "hue", "rule": "sum", "value": 1, "ignorable": true } ] } } ] }
	JSON
	"$DMABUF" solve -f picture.json --json >plan
	[ "$(json plan 'd["planes"]')" = "[{'offset': 0, 'stride': 2048}, {'offset': 2211840, 'stride': 2048}]" ]
	run "$DMABUF" solve -f picture.json --max-buffers 2
	[ "$status" -eq 1 ]
	[[ $output == *"allow 3 buffers"* ]]
	sed -i 's/, "ignorable": true//' picture.json
	run "$DMABUF" solve -f picture.json
	[ "$status" -eq 2 ]
	[[ $output == *'display: parameter "hue" is not known here'* ]]
}

@test "F3 tables of their own make King's case possible" {
	cat >king.json <<-JSON
		{ "devices": [
		  { "name": "a", "parameters": { "max_segment_size": 65536, "max_segment_count": 1000 } },
		  { "name": "b", "parameters": { "max_segment_size": "1M", "max_segment_count": 10 } } ] }
	JSON
	run "$DMABUF" solve -s 8M -f king.json
	[ "$status" -eq 1 ]
	[[ $output == *"(own_tables)"* ]]
	"$DMABUF" solve -s 8M -f king.json --own-tables
}

# refused WORDS JSON: the file is refused with these words.
refused()
{
	echo "$2" >bad.json
	run "$DMABUF" solve -s 1M -f bad.json
	echo "$output"
	[ "$status" -eq 2 ]
	[[ $output == *"$1"* ]]
}

@test "F1 files that make no sense are refused by the name of what is wrong" {
	refused 'ends too early' '{ "devices": [ '
	refused 'no JSON at byte 2' '{ devices }'
	refused 'must be an object' '[]'
	refused 'no member "device"' '{ "device": [] }'
	refused 'describes no device' '{ "devices": [] }'
	refused 'one has no name' '{ "devices": [ {} ] }'
	refused 'must be a string' '{ "devices": [ { "name": 7 } ] }'
	refused 'no parameter "contigous"' '{ "devices": [ { "name": "a", "parameters": { "contigous": true } } ] }'
	refused 'contiguous: 1 is no value' '{ "devices": [ { "name": "a", "parameters": { "contiguous": 1 } } ] }'
	refused 'max_segment_size: -1' '{ "devices": [ { "name": "a", "parameters": { "max_segment_size": -1 } } ] }'
	refused 'dma_mask = 0x6' '{ "devices": [ { "name": "a", "parameters": { "dma_mask": 6 } } ] }'
	refused 'rule "most"' '{ "devices": [ { "name": "a", "parameters": { "named": [ { "name": "x", "rule": "most" } ] } } ] }'
	refused 'direction' '{ "devices": [ { "name": "a", "direction": "up" } ] }'
	refused 'describes no heap' '{ "devices": [ { "name": "a" } ], "heaps": [] }'
	refused 'chunk = 0x3' '{ "devices": [ { "name": "a" } ], "heaps": [ { "name": "h", "chunk": 3 } ] }'
	refused 'planes: "width"' '{ "devices": [ { "name": "a" } ], "planes": [ { "width": 3 } ] }'
	refused 'size' '{ "devices": [ { "name": "a" } ], "planes": [ { "bytes_per_line": 3, "lines": 3 } ] }'
}

@test "solve refuses command lines that make no sense" {
	local words

	for words in "" "cpu" "-s 0 cpu" "-s x cpu" "--size" "-s 1M nobody" "-s 1M cpu:up" \
		"--bad -s 1M cpu" "-s 1M -f missing.json" "-s 1M --max-buffers 0 cpu" \
		"-s 1M $(printf 'cpu %.0s' $(seq 65))"; do
		# shellcheck disable=SC2086 # words are words
		run "$DMABUF" solve $words
		echo "$words: $output"
		[ "$status" -eq 2 ]
	done
}

@test "F8 F9 devices lists the processor, the disks and the heaps" {
	"$DMABUF" devices --json >list
	[ "$(json list '" ".join(d)')" = "schema devices heaps" ]
	[ "$(json list 'd["devices"][0]["name"], d["devices"][0]["kind"]')" = "('cpu', 'cpu')" ]
	[ "$(json list 'd["heaps"][0]["name"], d["heaps"][0]["available"]')" = "('memfd', True)" ]
	for disk in /sys/block/*; do
		[ "$(cat "$disk/size")" != 0 ] || continue
		[ "$(json list "sum(x['name'] == '${disk##*/}' for x in d['devices'])")" = 1 ]
	done
	"$DMABUF" devices >text
	grep -q '^cpu  *cpu  *trust_domain 1, cpu_needed$' text
	grep -q '^memfd  *yes ' text
}

@test "H1 F9 a disk and the processor of this machine share ordinary memory" {
	local disk

	disk=$("$DMABUF" devices | awk '$2 == "block" { print $1; exit }')
	[ -n "$disk" ] || skip "no disk"
	run "$DMABUF" solve -s 1M "$disk:write" cpu
	[ "$status" -eq 0 ]
	[[ $output == "Memory from memfd: 1 MiB"* ]]
}

@test "F9 devices are found by their paths, too" {
	local disk

	disk=$("$DMABUF" devices | awk '$2 == "block" { print $1; exit }')
	[ -b "/dev/$disk" ] || skip "no disk"
	"$DMABUF" solve -s 1M "$disk:write" cpu >name
	"$DMABUF" solve -s 1M "/dev/$disk:write" cpu >path
	cmp name path
	for path in /dev/null v4l2:/dev/null drm:card0 /nowhere; do
		run "$DMABUF" solve -s 1M "$path"
		[ "$status" -eq 2 ]
		[[ $output == *"there is no device"* ]]
	done
}

@test "F8 devices says where it has each device's needs from" {
	"$DMABUF" devices --json --try >list
	[ "$(json list 'd["devices"][0]["from"]')" = "[]" ]
	[ "$(json list 'all(x["from"] == ["kernel"] for x in d["devices"] if x["kind"] == "block")')" = True ]
	[ "$(json list 'all(set(x["from"]) <= {"kernel", "driver", "trial"} for x in d["devices"])')" = True ]
}

@test "F8 doctor says what is there, and of the rest how to get it" {
	run "$DMABUF" doctor
	[ "$status" -le 1 ]
	[[ $output == *"memfd"*"ordinary memory"* ]]
	[[ $output == *"io_uring"* ]]
	echo "$output" | awk '$1 == "no" && NF < 4 { exit 1 }'
	"$DMABUF" doctor --json >json || [ $? -eq 1 ]
	[ "$(json json 'd["schema"], d["findings"][0]["name"], d["findings"][0]["there"]')" = \
		"('dmabuf-doctor/1', 'memfd', True)" ]
	[ "$(json json 'all(f["there"] for f in d["findings"])')" = "$([ "$status" -eq 0 ] && echo True || echo False)" ]
}

@test "doctor and devices refuse what they do not know" {
	for name in doctor devices; do
		for words in --bad "--color=red" more; do
			run "$DMABUF" "$name" $words
			[ "$status" -eq 2 ]
		done
		run "$DMABUF" "$name" --help
		[ "$status" -eq 0 ]
	done
}
