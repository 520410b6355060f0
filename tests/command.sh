#!/bin/bash
# SPDX-License-Identifier: MIT
# command.sh NAME FILTER: the tests of tests/NAME.bats whose names match FILTER, with the programs in
# $BUILD (build).
set -eu
here=$(realpath "$(dirname "$0")")
build=$(realpath "${BUILD:-$here/../build}")
export DMABUF=$build/cli/dmabuf INVERT=$build/examples/invert MISUSER=$build/tests/pipe-misuser
export GRADIENT=$build/examples/gradient BRIGHTNESS=$build/examples/brightness
export WORK=$build/tests MAN=$here/../docs/man COMPLETION=$here/../cli/dmabuf.bash
exec bats --tap --filter "$2" "$here/$1.bats"
