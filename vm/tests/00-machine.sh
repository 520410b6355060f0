# SPDX-License-Identifier: MIT
# What the machine has that the other tests count on.
. /tests/tap.sh

check "the command runs" dmabuf version
like "doctor says what there is" "$(dmabuf doctor)" "yes +io_uring"
check "a module comes" modprobe vgem
check "and goes" modprobe -r vgem
check "a buffer lives and dies" sh -c 'dmabuf pipe test:64x64@60,frames=3 ! null:'
done_testing
