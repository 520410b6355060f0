# SPDX-License-Identifier: MIT
# Kernel dma-bufs of every exporter that is here: adopted, locked, their fences waited for, and ours
# shown to the kernel. What a kernel lacks is skipped, and that is looked at, too.
# needs: test-kernel-real test-kernel-adopt test-kernel-elsewhere
# needs: test-kernel-faults test-kernel-fences
# seconds: 150
. /tests/tap.sh

modprobe vgem
like "doctor says whose fences there are" "$(dmabuf doctor)" "^yes +kernel fences"
# The driver ends what it waits for after 10 s.
waits=H1_a_hold_that_is_stopped_ends_in_the_kernel
counts=H1_nothing_is_left_in_the_kernel
together "test-kernel-real $waits" test-kernel-adopt test-kernel-elsewhere \
	test-kernel-faults test-kernel-fences \
	"test-kernel-real $(all_but test-kernel-real $waits $counts)"
tap test-kernel-real $counts
if [ -e /dev/udmabuf ]; then
	like "udmabuf is a heap" "$(dmabuf doctor)" "^yes +udmabuf"
else
	like "without udmabuf, doctor says how to get it" "$(dmabuf doctor)" "no +udmabuf.*CONFIG_UDMABUF"
	like "without heaps, doctor says how to get them" "$(dmabuf doctor)" \
		"no +dma_heap/system.*CONFIG_DMABUF_HEAPS"
fi
modprobe -r vgem
like "without vgem, doctor says how to get it" "$(dmabuf doctor)" "no +kernel fences.*modprobe vgem"
done_testing
