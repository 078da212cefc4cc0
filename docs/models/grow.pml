/* SPDX-License-Identifier: MIT */
/*
 * grow: one bucket of the old table becomes two of the new one.
 *
 *     spin -a grow.pml &&
 *     gcc -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c &&
 *     ./pan -m100000
 *
 * Variants (arguments of spin): -DTWO_REMOVERS or -DHELPER, -DBLOCKS_MOVE.
 * Mutants, each of which must violate an assertion: -DNO_SIBLING,
 * -DNO_LICENCE -DHELPER, -DNO_FROZEN, -DEMERGENCY_FROZEN, -DNO_EMERGENCY,
 * -DSHARED_BLOCK -DBLOCKS_MOVE.
 *
 * Entries: a (1) and b (2) belong to side 0, c (4) to side 1, d (8) is
 * inserted into side 0.  At first the bucket holds a and c, so that it moves
 * without a plan; with BLOCKS_MOVE a, b and c, and side 0 takes a block.
 *
 * Processes: one that publishes the new table and helps once; one that
 * removes a; one that inserts d, or with TWO_REMOVERS removes a as well, or
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
#define SIDE0 (A | B | D)
#define SIDE1 C
#define SIDE_OF(bit) ((bit) == C)

short old;
short new[2];
bit root = OLD;
byte done;

byte winners;			/* of removing a */
bool removed, inserted;		/* and the call has returned */

inline free_table() {
	free_old_word(old)
}

inline old_is_there() {
	assert(table_state != FREE)
}

/* What a freezer prepares for content s; 0: no memory. */
inline plan_split(w_, s_, f_) {
	atomic {
		if
		:: COUNT(s_ & SIDE0) < 2 -> f_ = w_ | FRZ
		:: COUNT(s_ & SIDE0) > 1 -> f_ = 0
		:: COUNT(s_ & SIDE0) > 1 ->
			d_step {
				find_plan(m);
				find_block(chosen);
				assert(m != NONE && chosen != NONE);
				plan_source[m] = w_;
#ifdef SHARED_BLOCK
				free_block(chosen);
				plan_child[m] = BLOCK_WORD(ID(w_)) |
					(block_set[ID(w_)] & ~(s_ & SIDE0));
#else
				block_set[chosen] = s_ & SIDE0;
				plan_child[m] = BLOCK_WORD(chosen);
#endif
				f_ = PLAN_WORD(m);
				m = 0;
				chosen = 0
			}
		fi
	}
}

/* Part of a step: a plan that nobody saw. */
inline discard(f_) {
	if
	:: f_ & PLN ->
		m = ID(f_);
#ifndef SHARED_BLOCK
		free_block(ID(plan_child[m]));
#endif
		free_plan(m);
		m = 0
	:: else
	fi
}

/* Counting comes with it: to count, and so to retire, later is gentler. */
inline install(side_, child_) {
	d_step {
		if
		:: new[side_] == UNI ->
			new[side_] = child_;
			done++;
			if
			:: done == 2 -> retire_table()
			:: else
			fi
		:: else
		fi
	}
}

/* rc: 1 when there is no memory. */
inline migrate(rc_) {
	rc_ = 0;
#ifdef NO_LICENCE
	c0 = UNI; c1 = UNI;
#else
	c0 = new[0];
	c1 = new[1];
#endif
	if
	:: c0 != UNI && c1 != UNI
	:: else ->
		atomic { old_is_there(); f = old }
		do
		:: f & FRZ -> break
		:: !(f & FRZ) ->
			atomic { content(f, t); plan_split(f, t, g); t = 0 }
			if
			:: g == 0 -> rc_ = 1; break
			:: else ->
				d_step {
					old_is_there();
					if
					:: old == f -> old = g; f = g
					:: else -> f = old; discard(g)
					fi;
					g = 0
				}
			fi
		od;
		if
		:: rc_
		:: else ->
			/* A plan holds the words, and no entry is touched. */
			d_step {
				if
				:: f & PLN ->
					assert(plan_state[ID(f)] == LIVE);
					c0 = plan_child[ID(f)];
					c1 = C
				:: else ->
					content(f, t);
					c0 = t & SIDE0;
					c1 = t & SIDE1;
					t = 0
				fi
			}
			install(0, c0);
			install(1, c1)
		fi
	fi;
	atomic { c0 = 0; c1 = 0; f = 0; g = 0 }
}

#define LOCALS \
	short w, next, f, g, c0, c1; \
	byte s, t; \
	bit at; \
	bool nomem, again, finished, won

/*
 * Find the word to act on: again, or w and at.  A removal may act on the old
 * word when there is no memory to move it.
 */
inline find_spot(side_, removing_) {
	again = false;
	at = root;
	if
	:: at == OLD ->
		atomic { old_is_there(); w = old }
	:: else -> w = new[side_]
	fi;
	if
	:: w == UNI ->
		migrate(nomem);
		if
		:: !nomem -> again = true
#ifndef NO_EMERGENCY
		:: nomem && removing_ ->
			at = OLD;
			atomic { old_is_there(); w = old }
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
	:: w != UNI && (w & FRZ) -> again = true
	:: w != UNI && !(w & FRZ) ->
#else
	:: w != UNI && (w & PLN) -> again = true
	:: w != UNI && !(w & PLN) ->
#endif
#ifndef NO_SIBLING
		if
		:: removing_ && at == NEW ->
			if
			:: new[1 - side_] == UNI ->
				migrate(nomem);
				assert(!nomem)
			:: else
			fi
		:: else
		fi
#else
		skip
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
			:: old == w -> old = next; again = false
			:: else
			fi
		:: else ->
			if
			:: new[0] == w -> new[0] = next; again = false
			:: else
			fi
		fi;
		if
		:: !again -> retire_replaced(w, next)
		:: else
		fi
	}
}

proctype grower(byte me) {
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
		find_spot(0, true);
		if
		:: again
		:: !again && nomem ->
			assert(false)	/* a removal never fails */
		:: !again && !nomem ->
			atomic {
				content(w, s);
				won = s & A;
				if
				:: won -> without(w, s, A, next)
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
				:: !again ->
					winners++;
					finished = true
				:: else
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
		:: won -> retire_entry(0)
		:: else
		fi
	}
}

proctype inserter(byte me) {
	LOCALS;

	enter();
	do
	:: !finished ->
		find_spot(0, false);
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
			:: else ->
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
	:: at == OLD -> atomic { old_is_there(); w = old }
	:: at == NEW ->
		w = new[SIDE_OF(key)];
		if
		:: w == UNI -> atomic { old_is_there(); w = old }
		:: else
		fi
	fi;
	atomic {
		content(w, s);
		assert(key != C || (s & C));
		assert(key != A || !gone || !(s & A));
		assert(key != D || !there || (s & D));
		leave()
	}
}

init {
	byte s, t;

	d_step {
		new[0] = UNI;
		new[1] = UNI;
		block_state[0] = LIVE;
#ifdef BLOCKS_MOVE
		block_set[0] = A | B | C;
#else
		block_set[0] = A | C;
#endif
		block_room[0] = COUNT(block_set[0]);
		old = BLOCK_WORD(0);
		k = 0;
		do
		:: k < 4 -> entry_state[k] = LIVE; k++
		:: else -> break
		od
	}
	atomic {
		run grower(0);
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
	:: new[0] == UNI -> content(old, s); s = s & SIDE0
	:: else -> content(new[0], s); assert(!(s & SIDE1))
	fi;
	if
	:: new[1] == UNI -> content(old, t); t = t & SIDE1
	:: else -> content(new[1], t); assert(!(t & SIDE0))
	fi;
	assert(t == C);
	assert(!(s & A));
	assert((s & D) == (inserted -> D : 0));
#ifdef BLOCKS_MOVE
	assert(s & B);
#endif
	/* Nothing is left behind, and what is there belongs to one word. */
	d_step {
		k = 0;
		do
		:: k < BLOCKS ->
			assert(block_state[k] != RETIRED);
			assert((block_state[k] == LIVE) ==
			       (NAMES(new[0], k) + NAMES(new[1], k) +
				(table_state != FREE && NAMES(old, k))));
			k++
		:: else -> break
		od;
		assert((done == 2) == (table_state == FREE))
	}
}
