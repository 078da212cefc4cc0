#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Verify every model and variant, and see every mutant fail; TAP.
# Takes about four minutes and up to 1 GB of memory; needs spin and a
# C compiler ($CC).  FH_MODELS_RAW=file keeps what the verifier printed.

here=$(cd "$(dirname "$0")" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1
number=0
failed=0

report() { # verdict description
	number=$((number + 1))
	[ "$1" = ok ] || failed=1
	echo "$1 $number - $2"
}

# Leave the verifier's output in the file out; its states in $states.
verify() { # model arguments...
	model=$1
	shift
	rm -f pan pan.* out
	spin -a "$@" "$here/$model.pml" >log 2>&1 &&
	"${CC:-cc}" -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c \
		>>log 2>&1 || { sed 's/^/# /' log; return 1; }
	./pan -m100000 >out 2>&1
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' out)
	if [ -n "$FH_MODELS_RAW" ]; then
		{ echo "== $model $*"; cat out; } >>"$FH_MODELS_RAW"
	fi
}

# Exhaustive: no error, and the search was neither cut nor short of memory.
holds() {
	verdict='not ok'
	verify "$@" && grep -q 'errors: 0' out &&
		! grep -q -e 'search depth too small' -e MEMLIM \
			-e 'not completed' out && verdict=ok
	report "$verdict" "$* holds, ${states:-no} states"
}

fails() {
	verdict='not ok'
	verify "$@" && grep -q 'assertion violated' out && verdict=ok
	report "$verdict" "$* violates an assertion"
}

if ! command -v spin >/dev/null 2>&1; then
	echo '1..0 # SKIP spin is not installed'
	exit 0
fi

holds grow
holds grow -DTWO_REMOVERS
holds grow -DHELPER
holds grow -DBLOCKS_MOVE
holds grow -DTWO_REMOVERS -DBLOCKS_MOVE
holds grow -DHELPER -DBLOCKS_MOVE
fails grow -DNO_SIBLING
fails grow -DNO_LICENCE -DHELPER
fails grow -DNO_FROZEN
fails grow -DEMERGENCY_FROZEN
fails grow -DNO_EMERGENCY
fails grow -DSHARED_BLOCK -DBLOCKS_MOVE

holds shrink
holds shrink -DTWO_REMOVERS
holds shrink -DHELPER
holds shrink -DSPARSE
holds shrink -DTWO_REMOVERS -DSPARSE
holds shrink -DHELPER -DSPARSE
fails shrink -DNO_CLOSED
fails shrink -DNO_LICENCE -DHELPER
fails shrink -DNO_FROZEN
fails shrink -DEMERGENCY_FROZEN
fails shrink -DNO_EMERGENCY
fails shrink -DNO_SPARE -DSPARSE

holds log
holds log -DTWINS
holds log -DREADER
holds log -DTHREE_KEYS
fails log -DNO_COMMIT
fails log -DNO_MARK
fails log -DNO_COUNTS
fails log -DNO_VERDICT
fails log -DNO_FROZEN

echo "1..$number"
exit $failed
