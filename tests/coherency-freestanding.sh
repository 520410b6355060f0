#!/bin/sh
# SPDX-License-Identifier: MIT
# coherency-freestanding.sh ARCHIVE SOURCE...: the coherency core goes into kernel modules as it is.
. "$(dirname "$0")/freestanding.sh"
archive=$1
shift
needs_no_c_library C3_the_core_needs_no_c_library "$archive"
includes_only C3_the_core_includes_freestanding_headers_only 'coherency\.h' "$@"
finish
