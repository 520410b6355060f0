#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Where the kernels of the virtual machines come from. apt and dpkg are played here: what apt-cache
# finds is in $BATS_TEST_TMPDIR/found, once with the host's lists, once with our own.

bats_require_minimum_version 1.5.0

setup()
{
	export T=$BATS_TEST_TMPDIR
	mkdir "$T/bin"
	PATH=$T/bin:$PATH
	play apt-get 'echo "apt-get $*" >>"$T/calls"
case "$*" in
*indextargets*) echo somewhere: ;;
*download*) [ -e "$T/no-network" ] && exit 100; echo part >x.deb; [ ! -e "$T/killed" ] || kill -KILL 0 ;;
esac'
	play apt-cache 'case "$*" in
*Dir::Etc*) list=wide ;;
*Dir::State*) list=own ;;
*) list=host ;;
esac
case "$*" in
*pkgnames*) cat "$T/found-$list" ;;
*) echo "  Candidate: 1" ;;
esac'
	play dpkg-deb '[ ! -e "$T/broken" ] || exit 2
mkdir -p "$3/boot" "$3/lib/modules/6.12.9-x"; touch "$3/boot/vmlinuz-6.12.9-x"'
	play depmod true
}

# play NAME SCRIPT
play()
{
	printf '#!/bin/bash\n%s\n' "$2" >"$T/bin/$1"
	chmod +x "$T/bin/$1"
}

# find_in LISTS PACKAGE...
find_in()
{
	local lists=$1

	shift
	printf '%s\n' "$@" >"$T/found-$lists"
}

fetch()
{
	run --separate-stderr setsid -w "$SOURCE_ROOT/vm/fetch" 6.12 "$T/machines"
}

@test "H1 the newest ordinary kernel of the series is unpacked" {
	find_in host linux-image-6.12.9+deb12-amd64 linux-image-6.12.41+deb12-amd64 \
		linux-image-6.12.50+deb12-rt-amd64 linux-image-6.12.51+deb12-cloud-amd64 \
		linux-image-6.12.52+deb12-amd64-unsigned linux-image-6.12-amd64
	fetch
	[ "$status" -eq 0 ]
	[ "$output" = 6.12.9-x ]
	grep -q 'download linux-image-6.12.41+deb12-amd64$' "$T/calls"
	[ -e "$T/machines/6.12/boot/vmlinuz-6.12.9-x" ]
	run ! compgen -G "$T/machines/6.12*/*.deb"
}

@test "H1 a kernel that is there needs neither network nor apt" {
	find_in host linux-image-6.12.9+deb12-amd64
	fetch
	rm "$T/calls"
	play apt-cache 'echo used >>"$T/calls"'
	fetch
	[ "$output" = 6.12.9-x ]
	[ ! -e "$T/calls" ]
}

@test "H1 lists that know no such kernel are looked at anew, then other suites, and the host's stay" {
	find_in host
	find_in own
	find_in wide linux-image-6.12.9+deb13-amd64
	fetch
	[ "$status" -eq 0 ]
	run ! grep -v Dir::State "$T/calls"
	[ "$(grep -c ' update' "$T/calls")" -eq 2 ]
}

@test "H1 a package that somebody put there is taken" {
	mkdir "$T/machines"
	echo whole >"$T/machines/linux-image-6.12.9_amd64.deb"
	fetch
	[ "$output" = 6.12.9-x ]
	[ ! -e "$T/calls" ]
	[ -e "$T/machines/linux-image-6.12.9_amd64.deb" ]
}

@test "H1 a kernel that cannot be had is told with what to do, and leaves nothing" {
	find_in host linux-image-6.12.9+deb12-amd64
	find_in own linux-image-6.12.9+deb12-amd64
	find_in wide
	touch "$T/no-network"
	fetch
	[ "$status" -eq 1 ]
	[[ $stderr == *"no package linux-image-6.12.*-amd64 can be downloaded"*"put the .deb into"* ]]
	[ ! -e "$T/machines/6.12" ] && [ ! -e "$T/machines/6.12.new" ]
	rm "$T/no-network"
	fetch
	[ "$output" = 6.12.9-x ]
}

@test "H1 a download or a package that is broken off is begun anew" {
	find_in host linux-image-6.12.9+deb12-amd64
	touch "$T/broken"
	fetch
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot be unpacked"* ]]
	rm "$T/broken"
	touch "$T/killed"
	fetch
	[ "$status" -eq 137 ]
	[ -e "$T/machines/6.12.new/x.deb" ]
	[ ! -e "$T/machines/6.12" ]
	rm "$T/killed"
	fetch
	[ "$output" = 6.12.9-x ]
	[ ! -e "$T/machines/6.12/x.deb" ] && [ ! -e "$T/machines/6.12.new" ]
}
