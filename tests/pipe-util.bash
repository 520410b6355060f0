# SPDX-License-Identifier: MIT
# For the tests of the dmabuf command. DMABUF, INVERT, GRADIENT, BRIGHTNESS and MISUSER name programs,
# WORK a directory on a disk.

setup()
{
	dir=$(mktemp -d "$WORK/cli.XXXXXX")
	cd "$dir" || return
	DMABUF=$(realpath "$DMABUF")
	INVERT=$(realpath "$INVERT")
	GRADIENT=$(realpath "$GRADIENT")
	BRIGHTNESS=$(realpath "$BRIGHTNESS")
	MISUSER=$(realpath "$MISUSER")
	# By this a test's processes are known, whoever their parent is by then.
	export CLI_TEST_MARK=$dir
}

teardown()
{
	# A pipe that a failed test left behind ends with its input.
	exec 7>&-
	cd / || return
	rm -rf "$dir"
	until_true no_process_left
}

# Processes of this test that run one of our programs.
ours()
{
	local pid

	for pid in $(grep -lzxF "CLI_TEST_MARK=$dir" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3); do
		case $(readlink "/proc/$pid/exe" 2>/dev/null) in
		"$DMABUF" | "$INVERT" | "$GRADIENT" | "$BRIGHTNESS" | "$MISUSER") echo "$pid" ;;
		esac
	done
	return 0
}

no_process_left()
{
	local left

	left=$(ours)
	[ -z "$left" ] || {
		echo "left running: $left"
		return 1
	}
}

# The directory has exactly these names, temporary files would be others.
only_files()
{
	diff <(ls -A | sort) <([ $# -eq 0 ] || printf '%s\n' "$@" | sort)
}

# Python's view of a JSON file: json FILE EXPRESSION, where d is the document.
json()
{
	python3 -c "import json, sys; d = json.load(open(sys.argv[1])); print(($2))" "$1"
}

# Until COMMAND succeeds, looked at again and again, at most a minute.
until_true()
{
	local end=$((SECONDS + 60))

	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.01
	done
}

# Process ids of the elements of pipe $1, in their order.
elements()
{
	cat "/proc/$1/task/$1/children"
}
