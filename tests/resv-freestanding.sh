#!/bin/sh
# SPDX-License-Identifier: MIT
# resv-freestanding.sh ARCHIVE SOURCE...: the pure half of reservations goes into kernel modules.
. "$(dirname "$0")/freestanding.sh"
archive=$1
shift
needs_no_c_library D4_the_queues_core_needs_no_c_library "$archive"
includes_only D4_the_queues_core_includes_freestanding_headers_only 'resv/(decide|word)\.h' "$@"
finish
