/* SPDX-License-Identifier: MIT */
/*
 * memory: words, blocks, plans, entries and grace periods, for grow.pml and
 * shrink.pml.
 *
 * A word, as src/map_word.h has it, on a small scale:
 *
 *     bits 0..3   the one entry, or which entries of the block are dead
 *     BLK         a block; ID names it, and block_set says what it lists
 *     PLN         a plan; ID names it
 *     FRZ, CLO    frozen, closed
 *     UNI         UNINIT, and nothing else
 *
 * A block's number is used again as soon as the block is free, the lowest
 * number first, so that a word can mean something new: ABA is possible where
 * reclamation permits it.
 *
 * What is retired waits for the read sections that are open at that moment
 * and for no other; when the last of them ends it is gone at once.  No real
 * grace period is shorter.  Touching what is gone violates an assertion.
 */

#define FREE 0
#define LIVE 1
#define RETIRED 2

#define BLK 16
#define PLN 256
#define FRZ 512
#define UNI 1024
#define CLO 2048
#define ID(w) (((w) >> 5) & 7)
#define BLOCK_WORD(id) (BLK | ((id) << 5))
#define PLAN_WORD(id) (PLN | FRZ | ((id) << 5))
#define COUNT(s) (((s) & 1) + (((s) >> 1) & 1) + (((s) >> 2) & 1) + \
		  (((s) >> 3) & 1))
/* The one entry of a content that is not in the plural. */
#define FLAGS (BLK | PLN | FRZ | CLO)

#ifndef BLOCKS
#define BLOCKS 6
#define PLANS 3
#endif
#define NONE 15

byte reading;			/* a bit for each process in a section */

byte block_state[BLOCKS];
byte block_waits[BLOCKS];
byte block_set[BLOCKS];
byte block_room[BLOCKS];	/* slots */

byte plan_state[PLANS];
short plan_source[PLANS];
short plan_child[PLANS];	/* growing: what goes to side 0 */
byte plan_reserve[PLANS];	/* shrinking: a block */
bool plan_spare[PLANS];

byte entry_state[4];		/* LIVE: not yet retired; FREE: gone */
byte entry_waits[4];

byte table_state = LIVE;	/* the old table's */
byte table_waits;

/* Scratch of steps that nothing interrupts. */
hidden byte k, m, chosen;
hidden short x;

inline find_block(id_) {
	id_ = 0;
	do
	:: id_ < BLOCKS && block_state[id_] != FREE -> id_++
	:: else -> break
	od;
	if
	:: id_ == BLOCKS -> id_ = NONE
	:: else -> block_state[id_] = LIVE
	fi
}

inline find_plan(id_) {
	id_ = 0;
	do
	:: id_ < PLANS && plan_state[id_] != FREE -> id_++
	:: else -> break
	od;
	if
	:: id_ == PLANS -> id_ = NONE
	:: else -> plan_state[id_] = LIVE
	fi
}

inline free_block(id_) {
	assert(block_state[id_] != FREE);
	block_state[id_] = FREE;
	block_set[id_] = 0;
	block_room[id_] = 0;
	block_waits[id_] = 0
}

inline free_plan(id_) {
	assert(plan_state[id_] == LIVE);
	plan_state[id_] = FREE;
	plan_source[id_] = 0;
	plan_child[id_] = 0;
	plan_reserve[id_] = 0;
	plan_spare[id_] = false
}

/* An old word goes with its table. */
inline free_old_word(w_) {
	if
	:: w_ & PLN ->
		m = ID(w_);
		if
		:: plan_source[m] & BLK -> free_block(ID(plan_source[m]))
		:: else
		fi;
		if
		:: plan_spare[m] -> free_block(plan_reserve[m])
		:: else
		fi;
		free_plan(m)
	:: else ->
		if
		:: w_ & BLK -> free_block(ID(w_))
		:: else
		fi
	fi
}

/* What waits for nobody any more is gone.  free_table: the model's. */
inline sweep() {
	k = 0;
	do
	:: k < BLOCKS ->
		if
		:: block_state[k] == RETIRED ->
			block_waits[k] = block_waits[k] & reading;
			if
			:: block_waits[k] == 0 -> free_block(k)
			:: else
			fi
		:: else
		fi;
		k++
	:: else -> break
	od;
	k = 0;
	do
	:: k < 4 ->
		if
		:: entry_state[k] == RETIRED ->
			entry_waits[k] = entry_waits[k] & reading;
			if
			:: entry_waits[k] == 0 -> entry_state[k] = FREE
			:: else
			fi
		:: else
		fi;
		k++
	:: else -> break
	od;
	if
	:: table_state == RETIRED ->
		table_waits = table_waits & reading;
		if
		:: table_waits == 0 -> table_state = FREE; free_table()
		:: else
		fi
	:: else
	fi
}

inline enter() {
	d_step { reading = reading | (1 << me) }
}

inline leave() {
	d_step { reading = reading & ~(1 << me); sweep() }
}

/* Part of a step. */
inline retire_block(id_) {
	assert(block_state[id_] == LIVE);
	block_state[id_] = RETIRED;
	block_waits[id_] = reading
}

inline retire_entry(i_) {
	d_step {
		assert(entry_state[i_] == LIVE);
		entry_state[i_] = RETIRED;
		entry_waits[i_] = reading;
		sweep()
	}
}

inline retire_table() {
	assert(table_state == LIVE);
	table_state = RETIRED;
	table_waits = reading
}

inline touch(s_) {
	assert(!((s_) & 1) || entry_state[0] != FREE);
	assert(!((s_) & 2) || entry_state[1] != FREE);
	assert(!((s_) & 4) || entry_state[2] != FREE);
	assert(!((s_) & 8) || entry_state[3] != FREE)
}

/* The entries that a word stands for, every one of them looked at. */
inline content(w_, out_) {
	d_step {
		x = w_;
		if
		:: x & PLN ->
			assert(plan_state[ID(x)] == LIVE);
			x = plan_source[ID(x)]
		:: else
		fi;
		if
		:: x & BLK ->
			assert(block_state[ID(x)] != FREE);
			out_ = block_set[ID(x)] & ~(x & 15)
		:: else -> out_ = x & 15
		fi;
		touch(out_)
	}
}

/* Part of a step: the word without an entry of its content s. */
inline without(w_, s_, bit_, next_) {
	if
	:: COUNT(s_) > 2 -> next_ = w_ | bit_
	:: else -> next_ = (s_ & ~bit_) | (w_ & CLO)
	fi
}

/* The word with one more entry, or NONE: no memory.  m survives the step. */
inline with(w_, s_, bit_, next_) {
	atomic {
		if
		:: s_ == 0 -> next_ = bit_
		:: s_ != 0 -> next_ = UNI
		:: s_ != 0 ->
			d_step {
				find_block(chosen);
				if
				:: chosen == NONE -> next_ = UNI
				:: else ->
					block_set[chosen] = s_ | bit_;
					block_room[chosen] = COUNT(s_) + 1;
					next_ = BLOCK_WORD(chosen)
				fi;
				chosen = 0
			}
		fi
	}
}

/* Part of a step: the block that a replaced word named. */
inline retire_replaced(w_, next_) {
	if
	:: (w_ & BLK) && !((next_ & BLK) && ID(next_) == ID(w_)) ->
		retire_block(ID(w_))
	:: else
	fi
}

/* Part of the last step: is a live block named by this word? */
#define NAMES(w, id) ((((w) & BLK) && ID(w) == (id)) || (((w) & PLN) && \
	(((plan_source[ID(w)] & BLK) && ID(plan_source[ID(w)]) == (id)) || \
	 (plan_spare[ID(w)] && plan_reserve[ID(w)] == (id)))))
