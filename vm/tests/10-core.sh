# SPDX-License-Identifier: MIT
# The core on a stock kernel: what the library asks of the kernel is there. Left out is what repeats
# the same many times over, for races in the library.
# needs: test-dma-buf test-share test-dmabuf-sync
# seconds: 120
. /tests/tap.sh

together test-dma-buf \
	"test-share $(all_but test-share A2_no_descriptor_slips_through_an_exec_at_any_moment)" \
	"test-dmabuf-sync $(all_but test-dmabuf-sync D3_the_same_holds_for_those_who_queue)"
done_testing
