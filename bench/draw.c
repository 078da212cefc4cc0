/* SPDX-License-Identifier: MIT */
/* draw: random numbers, the threads' draws, and words. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS "/usr/share/dict/words"
#define ZIPF_EXPONENT 0.99

static uint32_t *all_draws;
static size_t draws_each;

/* Splitmix64: passes as random, and no state gets stuck. */
uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void bench_draw(unsigned threads, size_t count,
		uint32_t (*draw)(uint64_t *state, void *arg), void *arg)
{
	unsigned t;
	size_t i;

	free(all_draws);
	all_draws = bench_alloc(sizeof(*all_draws) * count * threads);
	draws_each = count;
	for (t = 0; t < threads; t++) {
		uint64_t state = UINT64_C(0x5eed) << 32 | t;

		for (i = 0; i < count; i++)
			all_draws[t * count + i] = draw(&state, arg);
	}
}

void bench_draws_of(struct bench_thread *thread)
{
	if (!all_draws)
		return;
	thread->draws = all_draws + thread->index * draws_each;
	thread->draws_end = thread->draws + draws_each;
}

void bench_zipf_init(struct bench_zipf *zipf, size_t count)
{
	double sum = 0;
	size_t i;

	zipf->count = count;
	zipf->upto = bench_alloc(sizeof(*zipf->upto) * count);
	for (i = 0; i < count; i++) {
		sum += pow((double)i + 1, -ZIPF_EXPONENT);
		zipf->upto[i] = sum;
	}
}

void bench_zipf_free(struct bench_zipf *zipf)
{
	free(zipf->upto);
}

/* Exact, by bisection: no clock is running, so nothing faster is needed. */
size_t bench_zipf_draw(const struct bench_zipf *zipf, uint64_t *state)
{
	double uniform = (double)(bench_random(state) >> 11) * 0x1p-53;
	double sought = uniform * zipf->upto[zipf->count - 1];
	size_t low = 0, high = zipf->count - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zipf->upto[middle] > sought)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static char *read_words(void)
{
	FILE *file = fopen(WORDS, "r");
	size_t length, room = 1 << 24;
	char *text;

	if (!file)
		bench_die("%s: %s; the Debian package wamerican has it", WORDS,
			  strerror(errno));
	text = bench_alloc(room);
	length = fread(text, 1, room - 1, file);
	if (ferror(file) || length == 0)
		bench_die("%s: nothing to read; the Debian package wamerican "
			  "has it", WORDS);
	text[length] = '\0';
	fclose(file);
	return text;
}

/* So that the popular words are not all at the beginning of the alphabet. */
static void shuffle(struct fh_key *keys, size_t count)
{
	uint64_t state = 1;
	size_t i;

	for (i = count; i > 1; i--) {
		size_t other = bench_random(&state) % i;
		struct fh_key key = keys[i - 1];

		keys[i - 1] = keys[other];
		keys[other] = key;
	}
}

const struct bench_words *bench_words(void)
{
	static struct bench_words words;
	char *text, *word, *rest;
	size_t lines = 1;

	if (words.keys)
		return &words;
	text = read_words();
	for (rest = text; (rest = strchr(rest, '\n')); rest++)
		lines++;
	words.keys = bench_alloc(sizeof(*words.keys) * lines);
	for (word = strtok_r(text, "\n", &rest); word;
	     word = strtok_r(NULL, "\n", &rest))
		words.keys[words.count++] = fh_key_string(word);
	shuffle(words.keys, words.count);
	return &words;
}
