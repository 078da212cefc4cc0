/* SPDX-License-Identifier: MIT */
/* hash: seeded hash functions for the three kinds of keys.  Internal. */
#ifndef FH_HASH_H
#define FH_HASH_H

#include <freehold/map.h>

#include <stdbool.h>

struct fh_hash {
	uint64_t seed[6];
};

/* Fill the seed with the operating system's randomness; 0 or -EIO. */
int fh_hash_seed(struct fh_hash *hash);

uint64_t fh_hash_u64(const struct fh_hash *hash, struct fh_key key);
uint64_t fh_hash_pair(const struct fh_hash *hash, struct fh_key key);
uint64_t fh_hash_bytes(const struct fh_hash *hash, struct fh_key key);

bool fh_key_equal(enum fh_key_kind kind, struct fh_key a, struct fh_key b);

/* The last step of the hash of numbers: one-to-one, spreads to all bits. */
static inline uint64_t fh_hash_spread(uint64_t h)
{
	h ^= h >> 32;
	return h * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t fh_hash_u64_inline(const struct fh_hash *hash,
					  uint64_t number)
{
	unsigned __int128 sum =
		((unsigned __int128)hash->seed[1] << 64 | hash->seed[0]) *
			number +
		((unsigned __int128)hash->seed[3] << 64 | hash->seed[2]);

	return fh_hash_spread((uint64_t)(sum >> 64));
}

#endif
