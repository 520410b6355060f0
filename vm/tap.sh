# SPDX-License-Identifier: MIT
# For the tests in the VM: `. /tests/tap.sh`, then check, is, ok, not_ok; at the end `done_testing`.
count=0

ok()
{
	count=$((count + 1))
	echo "ok $count - $*"
}

not_ok()
{
	count=$((count + 1))
	echo "not ok $count - $*"
}

# check WORDS COMMAND...: the command succeeds; what it printed is shown if not.
check()
{
	words=$1
	shift
	if "$@" >/tmp/tap.out 2>&1; then
		ok "$words"
	else
		not_ok "$words (status $?)"
		sed 's/^/# /' /tmp/tap.out
	fi
}

# is WORDS GOT WANTED
is()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		echo "# got: $2"
		echo "# wanted: $3"
	fi
}

# like WORDS GOT PATTERN: an extended regular expression
like()
{
	if echo "$2" | grep -qE "$3"; then
		ok "$1"
	else
		not_ok "$1"
		echo "# got: $2"
		echo "# wanted something like: $3"
	fi
}

# tap PROGRAM...: runs a program that prints TAP itself; each of its lines is one of ours.
tap()
{
	status=0
	"$@" >/tmp/tap.out 2>&1 || status=$?
	tap_of "$1" </tmp/tap.out
}

# tap_of PROGRAM <WHAT-IT-PRINTED, in $status how it ended
tap_of()
{
	while IFS= read -r line; do
		case $line in
		"not ok"*) not_ok "$(echo "$line" | sed 's/^not ok *[0-9]* *-* *//')" ;;
		ok*) ok "$(echo "$line" | sed 's/^ok *[0-9]* *-* *//')" ;;
		1..*) ;;
		*) echo "# $line" ;;
		esac
	done
	if [ $status -eq 0 ]; then
		ok "$1 ends well"
	else
		not_ok "$1 ends with status $status"
	fi
}

# together COMMAND...: as `tap`, several at a time, for those that wait more than they compute. Each
# is one argument, split at blanks.
together()
{
	numbers=
	number=0
	for command; do
		$command >"/tmp/together.$number" 2>&1 &
		numbers="$numbers $!"
		number=$((number + 1))
	done
	number=0
	for pid in $numbers; do
		status=0
		wait "$pid" || status=$?
		tap_of "${1%% *}" <"/tmp/together.$number"
		number=$((number + 1))
		shift
	done
}

# all_but PROGRAM NAME...: the names of its tests, but for these.
all_but()
{
	program=$1
	shift
	$program --list | grep -vxF "$(printf '%s\n' "$@")"
}

# eventually SECONDS COMMAND...: until it succeeds
eventually()
{
	until_second=$(($(cut -d. -f1 /proc/uptime) + $1))
	shift
	until "$@"; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt "$until_second" ] || return 1
		usleep 50000
	done
}

# How many dma-bufs the kernel has.
kernel_buffers()
{
	sed -n 's/^Total \([0-9]*\) objects.*/\1/p' /sys/kernel/debug/dma_buf/bufinfo
}

done_testing()
{
	echo "1..$count"
}
