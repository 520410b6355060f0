# SPDX-License-Identifier: MIT
# The core on a stock kernel: what the library asks of the kernel is there.
# needs: test-dma-buf test-share test-dmabuf-sync
# seconds: 100
. /tests/tap.sh

for test in dma-buf share dmabuf-sync; do
	tap test-$test
done
done_testing
