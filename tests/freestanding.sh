# SPDX-License-Identifier: MIT
# For scripts that check what a core that goes into kernel modules asks for; prints TAP.
count=0
failed=0

report()
{
	count=$((count + 1))
	if [ -z "$2" ]; then
		echo "ok $count - $1"
	else
		failed=1
		echo "not ok $count - $1"
		echo "$2" | sed 's/^/# /'
	fi
}

# needs_no_c_library NAME ARCHIVE: nothing but what a freestanding compiler may ask for.
needs_no_c_library()
{
	if symbols=$(nm -u "$2"); then
		others=$(echo "$symbols" | awk '$1 == "U" { print $2 }' |
			grep -vxE 'memcpy|memmove|memset|memcmp')
	else
		others="nm failed"
	fi
	report "$1" "$others"
}

# includes_only NAME OWN SOURCE...: nothing but what such a compiler brings, and the core's OWN.
includes_only()
{
	name=$1
	own=$2
	shift 2
	report "$name" "$(grep -hE '^#[[:space:]]*include' "$@" |
		grep -vE "<std(int|bool|def)\.h>|\"($own)\"")"
}

finish()
{
	echo "1..$count"
	exit $failed
}
