# SPDX-License-Identifier: MIT
# bash completion for dmabuf

_dmabuf_pipe()
{
	local cur=$1 prev=$2

	case $prev in
	--color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur") ;;
	-b | --buffers | -s | --size) ;;
	*)
		case $cur in
		file:* | tee:* | exec:* | v4l2:* | drm:*)
			mapfile -t COMPREPLY < <(compgen -P "${cur%%:*}:" -f -- "${cur#*:}")
			# What is before a colon is a word of its own for readline.
			_dmabuf_ltrim "$cur"
			;;
		-*) mapfile -t COMPREPLY < <(compgen -W "- --buffers --size --quiet --json --color --check --help" -- "$cur") ;;
		*)
			mapfile -t COMPREPLY < <(compgen -W "file: - null: test: v4l2: drm: sha256 crc32 count verify tee: exec: !" -- "$cur")
			compopt -o nospace
			;;
		esac
		;;
	esac
}

_dmabuf_cast()
{
	local cur=$1 prev=$2

	case $prev in
	--color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur") ;;
	-S | --socket) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	-w | --wait | --stall | -b | --buffers | -s | --size) ;;
	*)
		case $cur in
		file:* | exec:* | v4l2:* | drm:*)
			mapfile -t COMPREPLY < <(compgen -P "${cur%%:*}:" -f -- "${cur#*:}")
			_dmabuf_ltrim "$cur"
			;;
		-*) mapfile -t COMPREPLY < <(compgen -W "- --socket --wait --stall --buffers --size --quiet --json --color --help" -- "$cur") ;;
		*)
			mapfile -t COMPREPLY < <(compgen -W "file: - null: test: v4l2: drm: exec:" -- "$cur")
			compopt -o nospace
			;;
		esac
		;;
	esac
}

_dmabuf_catch()
{
	local cur=$1 prev=$2

	case $prev in
	--color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur") ;;
	--on-full) mapfile -t COMPREPLY < <(compgen -W "drop-oldest drop-newest block" -- "$cur") ;;
	-n | --frames | -b | --buffers | -t | --timeout | --reconnect | --every | --label) ;;
	*)
		case $cur in
		file:* | png:* | exec:* | v4l2:* | drm:*)
			mapfile -t COMPREPLY < <(compgen -P "${cur%%:*}:" -f -- "${cur#*:}")
			_dmabuf_ltrim "$cur"
			;;
		-*) mapfile -t COMPREPLY < <(compgen -W "- --on-full --frames --buffers --timeout --reconnect --every --label --quiet --json --color --help" -- "$cur") ;;
		*)
			mapfile -t COMPREPLY < <(compgen -f -W "file: - png: sha256 crc32 count verify null: v4l2: drm: exec:" -- "$cur")
			compopt -o nospace
			;;
		esac
		;;
	esac
}

_dmabuf_ltrim()
{
	declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$1"
}

_dmabuf()
{
	local cur prev words cword

	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n : cur prev words cword
	else
		words=("${COMP_WORDS[@]}")
		cword=$COMP_CWORD
		cur=${words[cword]}
		prev=${words[cword - 1]}
	fi
	COMPREPLY=()
	if [ "$cword" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "pipe cast catch ls solve devices doctor version help --help --version" -- "$cur")
		return
	fi
	case ${words[1]} in
	pipe) _dmabuf_pipe "$cur" "$prev" ;;
	cast) _dmabuf_cast "$cur" "$prev" ;;
	catch) _dmabuf_catch "$cur" "$prev" ;;
	ls)
		if [ "$prev" = --color ]; then
			mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W "--short --json --color --help" -- "$cur")
		fi
		;;
	solve)
		case $prev in
		-f | --file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		-s | --size | --max-buffers) ;;
		*)
			case $cur in
			-*) mapfile -t COMPREPLY < <(compgen -W "--size --file --max-buffers --own-tables --try --json --help" -- "$cur") ;;
			*) mapfile -t COMPREPLY < <(compgen -W "cpu $(cd /sys/block 2>/dev/null && echo *) $(cd /sys/class/video4linux 2>/dev/null && echo video*)" -- "$cur") ;;
			esac
			;;
		esac
		;;
	devices | doctor)
		if [ "$prev" = --color ]; then
			mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W "--json --color --help $([ "${words[1]}" = doctor ] || echo --try)" -- "$cur")
		fi
		;;
	help) mapfile -t COMPREPLY < <(compgen -W "pipe cast catch ls solve devices doctor version help" -- "$cur") ;;
	esac
}

complete -F _dmabuf dmabuf
