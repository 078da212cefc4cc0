/* SPDX-License-Identifier: MIT */
/*
 * hash: no set of keys chosen in advance collides.
 *
 * Numbers: multiply-shift in 128 bits.  With a and b random,
 *
 *     h(x) = ((a * x + b) mod 2^128) >> 64
 *
 * is strongly universal: the hashes of any two different numbers are
 * independent and uniform (M. Dietzfelbinger, "Universal hashing and k-wise
 * independent random variables via integer arithmetic without primes", 1996;
 * M. Thorup, "High speed hashing for integers and strings", 2015, section
 * 3.3, and 3.5 for the sum over a pair).  The fixed one-to-one step that
 * follows keeps that property, and hides from the upper bits, of which the
 * table makes its buckets, that h is nearly linear.
 *
 * Byte strings: SipHash-1-3 (J.-P. Aumasson and D. J. Bernstein, "SipHash: a
 * fast short-input PRF", 2012), with one round per word and three at the
 * end, the reduced form that several language runtimes use for their tables.
 */
#include "hash.h"

#include <errno.h>
#include <sys/random.h>

int fh_hash_seed(struct fh_hash *hash)
{
	unsigned char *to = (unsigned char *)hash->seed;
	size_t left = sizeof(hash->seed);

	while (left) {
		ssize_t got = getrandom(to, left, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EIO;
		to += got;
		left -= (size_t)got;
	}
	return 0;
}

uint64_t fh_hash_u64(const struct fh_hash *hash, struct fh_key key)
{
	return fh_hash_u64_inline(hash, key.word[0]);
}

static unsigned __int128 seed128(const struct fh_hash *hash, unsigned i)
{
	return (unsigned __int128)hash->seed[2 * i + 1] << 64 |
	       hash->seed[2 * i];
}

uint64_t fh_hash_pair(const struct fh_hash *hash, struct fh_key key)
{
	unsigned __int128 sum = seed128(hash, 0) * key.word[0] +
				seed128(hash, 2) * key.word[1] +
				seed128(hash, 1);

	return fh_hash_spread((uint64_t)(sum >> 64));
}

struct sip {
	uint64_t v[4];
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline __attribute__((always_inline)) void sip_round(struct sip *s)
{
	s->v[0] += s->v[1];
	s->v[2] += s->v[3];
	s->v[1] = rotate(s->v[1], 13) ^ s->v[0];
	s->v[3] = rotate(s->v[3], 16) ^ s->v[2];
	s->v[0] = rotate(s->v[0], 32);
	s->v[2] += s->v[1];
	s->v[0] += s->v[3];
	s->v[1] = rotate(s->v[1], 17) ^ s->v[2];
	s->v[3] = rotate(s->v[3], 21) ^ s->v[0];
	s->v[2] = rotate(s->v[2], 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->v[3] ^= word;
	sip_round(s);
	s->v[0] ^= word;
}

/* Up to eight bytes, the first one lowest, as on a little-endian machine. */
static uint64_t read_word(const unsigned char *bytes, size_t count)
{
	uint64_t word = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (count == 8) {
		memcpy(&word, bytes, 8);
		return word;
	}
#endif
	while (count--)
		word = word << 8 | bytes[count];
	return word;
}

uint64_t fh_hash_bytes(const struct fh_hash *hash, struct fh_key key)
{
	const unsigned char *bytes = (const void *)(uintptr_t)key.word[0];
	size_t length = (size_t)key.word[1], at = 0;
	struct sip s = { {
		hash->seed[0] ^ UINT64_C(0x736f6d6570736575),
		hash->seed[1] ^ UINT64_C(0x646f72616e646f6d),
		hash->seed[0] ^ UINT64_C(0x6c7967656e657261),
		hash->seed[1] ^ UINT64_C(0x7465646279746573),
	} };

	for (; at + 8 <= length; at += 8)
		sip_word(&s, read_word(bytes + at, 8));
	sip_word(&s, read_word(bytes + at, length - at) |
		     (uint64_t)length << 56);
	s.v[2] ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

bool fh_key_equal(enum fh_key_kind kind, struct fh_key a, struct fh_key b)
{
	if (kind == FH_KEYS_U64)
		return a.word[0] == b.word[0];
	if (a.word[1] != b.word[1])
		return false;
	if (kind == FH_KEYS_PAIR || a.word[1] == 0)
		return kind != FH_KEYS_PAIR || a.word[0] == b.word[0];
	return memcmp((const void *)(uintptr_t)a.word[0],
		      (const void *)(uintptr_t)b.word[0],
		      (size_t)a.word[1]) == 0;
}
