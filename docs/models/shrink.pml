/* SPDX-License-Identifier: MIT */
/*
 * shrink: two buckets of the old table become one of the new one.
 *
 *     spin -a shrink.pml &&
 *     gcc -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c &&
 *     ./pan -m100000
 *
 * Variants (arguments of spin): -DTWO_REMOVERS or -DHELPER, -DSPARSE.
 * Mutants, each of which must violate an assertion: -DNO_CLOSED,
 * -DNO_LICENCE -DHELPER, -DNO_FROZEN, -DEMERGENCY_FROZEN, -DNO_EMERGENCY,
 * -DNO_SPARE -DSPARSE.
 *
 * Entries: a (1) and b (2) lie in the even half, c (4) in the odd half, into
 * which d (8) is inserted.  With SPARSE b is not there, and removing c leaves
 * less than two: a reserve that nobody needs.
 *
 * Processes: one that publishes the new table and helps once; one that
 * removes c; one that inserts d, or with TWO_REMOVERS removes c as well, or
 * with HELPER helps once at any time; one that looks a, c or d up.  Every
 * allocation may fail.
 */
#include "memory.pml"

#define OLD 0
#define NEW 1
#define A 1
#define B 2
#define C 4
#define D 8

short even, odd;
short new;
bit root = OLD;

byte winners;			/* of removing c */
bool removed, inserted;		/* and the call has returned */

inline free_table() {
	free_old_word(even);
	free_old_word(odd)
}

inline old_is_there() {
	assert(table_state != FREE)
}

/* The frozen form of the even half; 0: no memory. */
inline plan_join(even_, odd_, f_) {
	atomic {
		content(even_, t);
		m = COUNT(t);
		content(odd_, t);
		m = m + COUNT(t);
		t = 0;
		if
		:: m < 2 -> f_ = even_ | FRZ
		:: m > 1 -> f_ = 0
		:: m > 1 ->
			d_step {
				find_block(chosen);
				assert(chosen != NONE);
				block_room[chosen] = m;
				find_plan(m);
				assert(m != NONE);
				plan_source[m] = even_;
				plan_reserve[m] = chosen;
				f_ = PLAN_WORD(m);
				chosen = 0
			}
		fi;
		m = 0
	}
}

/* Part of a step: a plan that nobody saw. */
inline discard(f_) {
	if
	:: f_ & PLN ->
		m = ID(f_);
		free_block(plan_reserve[m]);
		free_plan(m);
		m = 0
	:: else
	fi
}

/*
 * Part of a step: the union of two final halves, as a word.  Every helper
 * writes it to the reserve, and all write the same.
 */
inline join(e_, o_, child_) {
	content(e_, t);
	m = t;
	content(o_, t);
	t = t | m;
	m = 0;
	if
	:: COUNT(t) < 2 ->
		child_ = t;
		if
#ifndef NO_SPARE
		:: e_ & PLN -> plan_spare[ID(e_)] = true
#endif
		:: else
		fi
	:: else ->
		assert(e_ & PLN);
		m = plan_reserve[ID(e_)];
		assert(block_state[m] != FREE);
		assert(COUNT(t) <= block_room[m]);
		assert(block_set[m] == 0 || block_set[m] == t);
		block_set[m] = t;
		child_ = BLOCK_WORD(m);
		m = 0
	fi;
	t = 0
}

/* rc: 1 when there is no memory. */
inline migrate(rc_) {
	rc_ = 0;
#ifdef NO_LICENCE
	g = UNI;
#else
	g = new;
#endif
	if
	:: g != UNI
	:: g == UNI ->
		atomic { old_is_there(); e = even };
#ifndef NO_CLOSED
		atomic {
			old_is_there();
			if
			:: !(odd & (CLO | FRZ)) -> odd = odd | CLO
			:: else
			fi
		};
#endif
		do
		:: e & FRZ -> break
		:: !(e & FRZ) ->
			atomic { old_is_there(); o = odd };
			plan_join(e, o, g);
			o = 0;
			if
			:: g == 0 -> rc_ = 1; break
			:: g != 0 ->
				d_step {
					old_is_there();
					if
					:: even == e -> even = g; e = g
					:: else -> e = even; discard(g)
					fi;
					g = 0
				}
			fi
		od;
		if
		:: rc_
		:: !rc_ ->
			atomic { old_is_there(); odd = odd | FRZ; o = odd };
			d_step { join(e, o, g) };
			d_step {
				if
				:: new == UNI -> new = g; retire_table()
				:: else
				fi
			}
		fi
	fi;
	atomic { e = 0; o = 0; g = 0 }
}

#define LOCALS \
	short w, next, e, o, g; \
	byte s, t; \
	bit at; \
	bool nomem, again, finished, won

/* As in grow.pml, for an entry of the odd half. */
inline find_spot(removing_) {
	again = false;
	at = root;
	if
	:: at == OLD -> atomic { old_is_there(); w = odd }
	:: at == NEW -> w = new
	fi;
	if
	:: w == UNI ->
		migrate(nomem);
		if
		:: !nomem -> again = true
#ifndef NO_EMERGENCY
		:: nomem && removing_ ->
			at = OLD;
			atomic { old_is_there(); w = odd };
			nomem = false;
#ifndef EMERGENCY_FROZEN
			again = (w & FRZ) != 0
#endif
		:: nomem && !removing_
#else
		:: nomem
#endif
		fi
#ifndef NO_FROZEN
	:: w != UNI && (w & (FRZ | CLO)) -> again = true
	:: w != UNI && !(w & (FRZ | CLO))
#else
	:: w != UNI
#endif
	fi
}

inline exchange() {
	d_step {
		again = true;
		if
		:: at == OLD ->
			old_is_there();
			if
			:: odd == w -> odd = next; again = false
			:: else
			fi
		:: else ->
			if
			:: new == w -> new = next; again = false
			:: else
			fi
		fi;
		if
		:: !again -> retire_replaced(w, next)
		:: else
		fi
	}
}

proctype shrinker(byte me) {
	LOCALS;

	atomic { enter(); root = NEW }
	migrate(nomem);
	leave()
}

/* Comes by at any time, as every writer does after its change. */
proctype helper(byte me) {
	LOCALS;

	atomic { enter(); at = root };
	if
	:: at == NEW -> migrate(nomem)
	:: at == OLD
	fi;
	leave()
}

proctype remover(byte me) {
	LOCALS;

	enter();
	do
	:: !finished ->
		find_spot(true);
		if
		:: again
		:: !again && nomem ->
			assert(false)	/* a removal never fails */
		:: !again && !nomem ->
			atomic {
				content(w, s);
				won = (s & C) != 0;
				if
				:: won -> without(w, s, C, next)
				:: else
				fi;
				s = 0
			}
			if
			:: !won -> finished = true
			:: won ->
				exchange();
				won = !again;
				if
				:: !again -> winners++; finished = true
				:: again
				fi
			fi
		fi
	:: finished -> break
	od;
	/* Retired at once: later would spare more readers. */
	atomic {
		leave();
		removed = true;
		if
		:: won -> retire_entry(2)
		:: else
		fi
	}
}

proctype inserter(byte me) {
	LOCALS;

	enter();
	do
	:: !finished ->
		find_spot(false);
		if
		:: again
		:: !again && nomem -> finished = true
		:: !again && !nomem ->
			atomic {
				content(w, s);
				assert(!(s & D));
				with(w, s, D, next);
				s = 0
			}
			if
			:: next == UNI -> finished = true; nomem = true
			:: next != UNI ->
				exchange();
				if
				:: !again -> finished = true
				:: again ->
					d_step {
						if
						:: next & BLK ->
						   free_block(ID(next))
						:: else
						fi
					}
				fi
			fi
		fi
	:: finished -> break
	od;
	atomic { leave(); inserted = !nomem }
}

proctype reader(byte me) {
	short w;
	byte key, s;
	bit at;
	bool gone, there;

	atomic {
		if
		:: key = A
		:: key = C
		:: key = D
		fi;
		enter();
		gone = removed;
		there = inserted;
		at = root
	}
	if
	:: at == NEW -> w = new
	:: at == OLD -> w = UNI
	fi;
	if
	:: w == UNI ->
		atomic {
			old_is_there();
			if
			:: key == A -> w = even
			:: else -> w = odd
			fi
		}
	:: w != UNI
	fi;
	atomic {
		content(w, s);
		assert(key != A || (s & A));
		assert(key != C || !gone || !(s & C));
		assert(key != D || !there || (s & D));
		leave()
	}
}

init {
	byte s, t;

	d_step {
		new = UNI;
#ifdef SPARSE
		even = A;
#else
		block_state[0] = LIVE;
		block_set[0] = A | B;
		block_room[0] = 2;
		even = BLOCK_WORD(0);
#endif
		odd = C;
		k = 0;
		do
		:: k < 4 -> entry_state[k] = LIVE; k++
		:: else -> break
		od
	}
	atomic {
		run shrinker(0);
		run remover(1);
#if defined(TWO_REMOVERS)
		run remover(2);
#elif defined(HELPER)
		run helper(2);
#else
		run inserter(2);
#endif
		run reader(3)
	}
	_nr_pr == 1;
	assert(winners == 1);
	if
	:: new == UNI ->
		content(even, s);
		content(odd, t);
		assert(!(s & (C | D)) && !(t & (A | B)));
		s = s | t
	:: else -> content(new, s)
	fi;
	assert(s & A);
	assert(!(s & C));
	assert((s & D) == (inserted -> D : 0));
#ifndef SPARSE
	assert(s & B);
#endif
	/* Nothing is left behind, and what is there belongs to one word. */
	d_step {
		k = 0;
		do
		:: k < BLOCKS ->
			assert(block_state[k] != RETIRED);
			assert((block_state[k] == LIVE) ==
			       (NAMES(new, k) + (table_state != FREE &&
				(NAMES(even, k) + NAMES(odd, k) > 0))));
			k++
		:: else -> break
		od;
		assert((new != UNI) == (table_state == FREE))
	}
}
