/* SPDX-License-Identifier: MIT */
/*
 * log: removals from one long block, and who replaces or freezes it.
 *
 *     spin -a log.pml && gcc -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan \
 *     pan.c && ./pan -m100000
 *
 * Variants (arguments of spin): -DTWINS, -DREADER, -DTHREE_KEYS.
 * Mutants, each of which must violate an assertion: -DNO_COMMIT, -DNO_MARK,
 * -DNO_COUNTS, -DNO_VERDICT, -DNO_FROZEN.
 *
 * Four entries lie in block 0, which counts as long; of the keys 0 to 3, 3 is
 * removed by nobody.  An inserter adds key 4, in block 1.  A freezer closes
 * and freezes the word, with its plan, and the content moves to a new word,
 * in block 2; whoever meets the frozen word helps to install it.
 *
 * Processes: two removers, of the keys 0 and 1, or both of 0 with TWINS; the
 * freezer, or with THREE_KEYS a remover of key 2, so that the last of them
 * finds two entries and needs no log; the inserter, or with READER one who
 * looks key 0, 3 or 4 up.
 *
 * No memory is used again here: grow.pml and shrink.pml see to that.
 */
#define BLK 128
#define FRZ 256
#define UNI 512
#define CLO 1024
#define NOBODY 15

/* word: bits 0..3 the dead, or the one entry; bits 4..5 the block */
#define DEAD(w) ((w) & 15)
#define ID(w) (((w) >> 4) & 3)
#define SLOTS 5

short old, new;
short child;			/* the plan: what new becomes */

/* A block: key + 1 in each slot, the log, the marks. */
byte slot[15];
byte log[15];
byte died[15];
byte length[3];
byte committed[3];

byte winners[3];
bool removed[3];		/* and the call has returned */
bool inserted;

hidden byte k, m;

inline new_block(id_) {
	length[id_] = 0;
	committed[id_] = 0;
	k = 0;
	do
	:: k < SLOTS ->
		slot[id_ * SLOTS + k] = 0;
		log[id_ * SLOTS + k] = 0;
		died[id_ * SLOTS + k] = 0;
		k++
	:: else -> break
	od
}

#define ALIVE(w, i) (died[ID(w) * SLOTS + i] == 0 || \
		     died[ID(w) * SLOTS + i] > DEAD(w))

/* Part of a step: the position of a key, or NOBODY, as w has it now. */
inline find(w_, key_, at_) {
	at_ = NOBODY;
	if
	:: w_ & BLK ->
		k = 0;
		do
		:: k < length[ID(w_)] ->
			if
			:: slot[ID(w_) * SLOTS + k] == key_ + 1 &&
			   ALIVE(w_, k) -> at_ = k
			:: else
			fi;
			k++
		:: else -> break
		od
	:: else ->
		if
		:: DEAD(w_) == key_ + 1 -> at_ = 0
		:: else
		fi
	fi
}

#define LIVING(w) (length[ID(w)] - DEAD(w))

/* Part of a step: the live entries of w, into an empty block. */
inline copy(w_, id_) {
	new_block(id_);
	k = 0;
	m = 0;
	do
	:: k < length[ID(w_)] ->
		if
		:: ALIVE(w_, k) ->
			slot[id_ * SLOTS + m] = slot[ID(w_) * SLOTS + k];
			m++
		:: else
		fi;
		k++
	:: else -> break
	od;
	length[id_] = m;
	assert(m == LIVING(w_));
	m = 0
}

/* The root has moved on: help, and act on the new word. */
inline find_spot() {
	moved = false;
	w = old;
	if
#ifndef NO_FROZEN
	:: w & FRZ ->
		atomic {
			if
			:: new == UNI -> new = child
			:: else
			fi
		};
		moved = true;
		w = new
	:: !(w & FRZ)
#else
	:: true
#endif
	fi
}

/* expected: in and out; done: it was replaced. */
inline exchange(expected_, next_, done_) {
	d_step {
		if
		:: moved ->
			done_ = new == expected_;
			if
			:: done_ -> new = next_
			:: else -> expected_ = new
			fi
		:: else ->
			done_ = old == expected_;
			if
			:: done_ -> old = next_
			:: else -> expected_ = old
			fi
		fi
	}
}

inline commit(w_) {
#ifndef NO_COMMIT
	if
	:: w_ & BLK ->
		atomic {
			if
			:: committed[ID(w_)] < DEAD(w_) ->
				committed[ID(w_)] = DEAD(w_)
			:: else
			fi
		}
	:: else
	fi
#else
	skip
#endif
}

/* Removal number v of the block of w is ours: counted, or try once more? */
inline counts() {
	if
	:: !(now & BLK) || ID(now) != ID(w) ->
		won = committed[ID(w)] > DEAD(w);
		settled = true
	:: (now & BLK) && ID(now) == ID(w) ->
		won = DEAD(now) > DEAD(w);
		settled = won || (now & FRZ) != 0
	fi
}

inline bury() {
	atomic {
		if
		:: log[ID(w) * SLOTS + DEAD(w)] == 0 ->
			log[ID(w) * SLOTS + DEAD(w)] = i + 1;
			ours = true
		:: else ->
			i = log[ID(w) * SLOTS + DEAD(w)] - 1;
			ours = false
		fi
	};
#ifdef NO_MARK
	if
	:: ours -> died[ID(w) * SLOTS + i] = DEAD(w) + 1
	:: else
	fi;
#else
	died[ID(w) * SLOTS + i] = DEAD(w) + 1;
#endif
	now = w;
	settled = false;
	do
	:: !settled ->
		exchange(now, now + 1, done);
		if
		:: done -> won = ours; settled = true
		:: !done && !ours -> settled = true
		:: !done && ours ->
#ifdef NO_VERDICT
			settled = true	/* as if it never counted */
#else
#ifdef NO_COUNTS
			won = true; settled = true	/* as if always */
#else
			counts()
#endif
#endif
		fi
	:: settled -> break
	od
}

proctype remover(byte key) {
	short w, now, next;
	byte i;
	bool moved, done, ours, won, settled, finished;

	do
	:: !finished ->
		atomic { find_spot(); find(w, key, i) };
		if
		:: i == NOBODY -> finished = true
		:: i != NOBODY && (w & BLK) && LIVING(w) > 2 ->
			bury();
			finished = won
		:: i != NOBODY && (w & BLK) && LIVING(w) == 2 ->
			/* The other one, whose position we look for. */
			d_step {
				k = 0;
				do
				:: k < length[ID(w)] ->
					if
					:: k != i && ALIVE(w, k) ->
						m = slot[ID(w) * SLOTS + k]
					:: else
					fi;
					k++
				:: else -> break
				od;
				next = m | (w & CLO);
				m = 0
			};
			commit(w);
			now = w;
			exchange(now, next, won);
			finished = won
		:: i != NOBODY && !(w & BLK) ->
			now = w;
			next = w & CLO;
			exchange(now, next, won);
			finished = won
		fi;
		atomic {
			w = 0; now = 0; next = 0; i = 0;
			moved = false; done = false; ours = false;
			settled = false
		}
	:: finished -> break
	od;
	atomic {
		if
		:: won ->
			assert(winners[key] == 0);
			winners[key]++
		:: else
		fi;
		removed[key] = true
	}
}

proctype inserter() {
	short w, now;
	bool moved, done;

	do
	:: !done ->
		atomic {
			find_spot();
			if
			:: w & BLK -> copy(w, 1)
			:: else ->
				new_block(1);
				if
				:: DEAD(w) -> slot[SLOTS] = DEAD(w);
					length[1] = 1
				:: else
				fi
			fi;
			slot[SLOTS + length[1]] = 5;
			length[1]++
		};
		commit(w);
		now = w;
		exchange(now, BLK | (1 << 4), done)
	:: done -> break
	od;
	inserted = true
}

/* Freezing publishes the copy by the exchange that freezes. */
proctype freezer() {
	short w;

	atomic { old = old | CLO; w = old };
	do
	:: w & FRZ -> break
	:: !(w & FRZ) ->
		d_step {
			if
			:: w & BLK -> copy(w, 2)
			:: else
			fi
		};
		d_step {
			if
			:: old == w ->
				old = w | FRZ;
				child = ((w & BLK) -> (BLK | (2 << 4)) :
					 DEAD(w));
				w = old
			:: else -> w = old
			fi
		}
	od;
	atomic {
		if
		:: new == UNI -> new = child
		:: else
		fi
	}
}

proctype reader() {
	short w;
	byte key, i, j;
	bool gone, there;

	atomic {
		if
		:: key = 0
		:: key = 3
		:: key = 4
		fi;
		if
		:: key == 0 -> gone = removed[0]
		:: else
		fi;
		there = inserted
	}
	w = new;
	if
	:: w == UNI -> w = old
	:: w != UNI
	fi;
	d_step { find(w, key, i) };
	assert(key != 0 || !gone || i == NOBODY);
	assert(key != 3 || i != NOBODY);
	assert(key != 4 || !there || i != NOBODY);
	/* Marks that come meanwhile change nothing. */
	d_step { find(w, key, j) };
	assert(i == j)
}

inline gone_at_end(key_) {
	find(w, key_, i);
	assert(i == NOBODY);
	assert(winners[key_] == 1)
}

init {
	short w;
	byte i;

	d_step {
		k = 0;
		do
		:: k < 4 -> slot[k] = k + 1; k++
		:: else -> break
		od;
		length[0] = 4;
		old = BLK;
		new = UNI
	}
	atomic {
		run remover(0);
#ifdef TWINS
		run remover(0);
#else
		run remover(1);
#endif
#ifdef THREE_KEYS
		run remover(2);
#else
		run freezer();
#endif
#ifdef READER
		run reader()
#else
		run inserter()
#endif
	}
	_nr_pr == 1;
	d_step {
		w = new;
		if
		:: w == UNI -> w = old
		:: else
		fi;
		gone_at_end(0);
#ifndef TWINS
		gone_at_end(1);
#endif
		find(w, 2, i);
#ifdef THREE_KEYS
		assert(i == NOBODY && winners[2] == 1);
#else
		assert(i != NOBODY);
#endif
		find(w, 3, i);
		assert(i != NOBODY);
		find(w, 4, i);
		assert((i != NOBODY) == inserted)
	}
}
