#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The worked examples do what they say.

@test "D1 the tutorial of docs/sync.md: two processes, one buffer, nothing torn" {
	run "$EXAMPLE_SYNC"
	[ "$status" -eq 0 ]
	[ "$output" = "200 frames written, 200 looks at them, none torn" ]
}

@test "D1 docs/sync.md shows the tutorial's own lines" {
	lines=$(sed -n '/^```c$/,/^```$/p' "$DOCS/sync.md" | grep -v '^```' | grep -c 'dmabuf_sync_')
	[ "$lines" -ge 6 ]
	sed -n '/^```c$/,/^```$/p' "$DOCS/sync.md" | grep -o 'dmabuf_sync_[a-z_]*(' | sort -u |
		while read -r call; do
			cat "$DOCS"/../include/dmabuf/dmabuf-sync*.h | grep -qF "$call"
		done
}

@test "E4 queued work: read, invert and write, all of it queued before it begins" {
	cd "$BATS_TEST_TMPDIR"
	head -c 700001 /dev/urandom >input
	"$EXAMPLE_QUEUED" input output
	python3 -c 'import sys; sys.stdout.buffer.write(bytes(255 - b for b in open("input", "rb").read()))' >want
	cmp output want
	"$EXAMPLE_QUEUED" output again
	cmp again input
}

@test "E4 queued work: what cannot be is told" {
	cd "$BATS_TEST_TMPDIR"
	head -c 3000000 /dev/zero >large
	run "$EXAMPLE_QUEUED" large output
	[ "$status" -ne 0 ]
	run "$EXAMPLE_QUEUED" missing output
	[ "$status" -ne 0 ]
}

@test "F8 a heap of one's own is asked first, and done without where it has nothing" {
	run "$EXAMPLE_HEAP" 2
	[ "$status" -eq 0 ]
	[ "$output" = "1 MiB from reserve
1 MiB from reserve
1 MiB from memfd" ]
	run "$EXAMPLE_HEAP" 0
	[ "$status" -eq 0 ]
	[ "$output" = "1 MiB from memfd
1 MiB from memfd
1 MiB from memfd" ]
	run "$EXAMPLE_HEAP" 99
	[ "$status" -ne 0 ]
}

@test "F4 F5 the demo's scene: any order gives one plan, a fourth device none, and the way out works" {
	run "$DOCS/../scripts/demo-constraints" "$DMABUF"
	[ "$status" -eq 0 ]
	[[ $output == *"give each device a table of its own"* ]]
}
