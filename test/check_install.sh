#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A copy of the sources, built from nothing, installed below DESTDIR, used as
# the README says, and uninstalled (TAP).
cd "$(dirname "$0")/.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log
count=0
bad=0

# ok WHAT COMMAND...: one line of TAP, and what the command said if it failed
ok() {
	what=$1
	shift
	count=$((count + 1))
	if "$@" >"$log" 2>&1; then
		echo "ok $count - $what"
	else
		echo "not ok $count - $what"
		sed 's/^/# /' "$log" | tail -n 20
		bad=1
	fi
}

# pc WORDS...: pkg-config, which sees what was installed and nothing else
pc() {
	PKG_CONFIG_LIBDIR=$there/lib/pkgconfig \
	PKG_CONFIG_SYSROOT_DIR=$DESTDIR pkg-config "$@"
}

# compile PROGRAM WORDS...: the README's line, with these words for pkg-config
compile() {
	program=$1
	shift
	# shellcheck disable=SC2046 # pkg-config prints several words
	gcc -Wall -Wextra -Werror $static -o "$program" "$scratch/example.c" \
		$(pc --cflags --libs "$@")
}

# says WORD PROGRAM: it succeeds, and names the build that it is linked with
says() {
	"$2" >"$scratch/output" && cat "$scratch/output" &&
		grep -q "$1" "$scratch/output"
}

# functions LIBRARY: which of ours it defines, the inline ones aside
functions() {
	nm -g --defined-only "$there/lib/lib$1.a" 2>/dev/null |
		sed -n 's/.* T \(fh_[a-z0-9_]*\)$/\1/p' | sort -u |
		grep -vx -e fh_status_get -e fh_status_read >"$scratch/all"
	cat "$there"/include/freehold/*.h | grep -wo 'fh_[a-z0-9_]*' |
		sort -u | comm -12 - "$scratch/all"
}

# A name that two files of a library define clashes in a program that uses both.
twins() {
	nm -g --defined-only "$there/lib/lib$1.a" |
		awk 'NF == 3 { print $3 }' | sort | uniq -d
}

no_twins() {
	[ -z "$(twins freehold; twins freehold-mutex)" ]
}

same_functions() {
	functions freehold >"$scratch/freehold"
	functions freehold-mutex >"$scratch/mutex"
	[ "$(wc -l <"$scratch/freehold")" -ge 50 ] &&
		diff "$scratch/freehold" "$scratch/mutex"
}

for need in pkg-config:pkg-config ninja:ninja-build gcc:gcc; do
	command -v "${need%%:*}" >/dev/null && continue
	echo "Bail out!  ${need%%:*} is missing;" \
		"on Debian: apt-get install ${need#*:}"
	exit 1
done

mkdir "$scratch/copy"
cp -R configure.py freehold.pc.in include src bench test "$scratch/copy"
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```c$/d; /^```$/q' |
	sed '/^```$/d' >"$scratch/example.c"
DESTDIR=$scratch/root
export DESTDIR
there=$DESTDIR/opt/freehold

cd "$scratch/copy" || exit 1
ok 'configure.py takes a prefix' python3 configure.py --prefix=/opt/freehold
ok 'ninja install builds and installs' ninja install
for file in include/freehold/freehold.h lib/libfreehold.a \
	lib/libfreehold-mutex.a lib/pkgconfig/freehold.pc \
	lib/pkgconfig/freehold-mutex.pc
do
	ok "$file is there" test -f "$there/$file"
done
ok 'every header is there' \
	diff -r include/freehold "$there/include/freehold"
ok 'the sources are as they were' test ! -e "$scratch/copy/opt"

for library in freehold freehold-mutex; do
	case $library in
	*mutex) build=mutex ;;
	*) build=lock-free ;;
	esac
	static=
	ok "the README's example compiles with $library" \
		compile "$scratch/dynamic" "$library"
	ok "... and runs, the $build build" says "$build" "$scratch/dynamic"
	static=-static
	ok "it links statically with $library" \
		compile "$scratch/static" --static "$library"
	ok "... and runs, the $build build" says "$build" "$scratch/static"
	ok "... and needs no --static for it" \
		compile "$scratch/static" "$library"
done
ok 'both libraries define every function of the headers' same_functions
ok 'no name is defined twice in either' no_twins

ok 'ninja uninstall' ninja uninstall
ok 'nothing is left' sh -c '! find "$0" ! -type d | grep .' "$DESTDIR"
ok 'no header directory is left' test ! -e "$there/include/freehold"
ok 'ninja uninstall again does no harm' ninja uninstall
echo "1..$count"
exit $bad
