// SPDX-License-Identifier: MIT
#include "coherency-visits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

struct origin {
	uint32_t parent;
	char action[VISITS_ACTION_LEN];
};

/* Index plus one, 0 is free; the tag is more of the hash, so that others are seldom compared. */
struct bucket {
	uint32_t index;
	uint32_t tag;
};

/* Open addressing, never more than half full. */
static uint8_t *states;
static struct origin *origins;
static struct bucket *buckets;
static uint32_t count, room, bucket_mask;
static uint32_t next, current;
static size_t size;

static uint64_t hash(const uint8_t *state)
{
	uint64_t h = size, word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		word = 0;
		memcpy(&word, state + i, size - i < sizeof(word) ? size - i : sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	return h;
}

/* Its bucket, or the free one where it belongs, with its tag. */
static struct bucket *find(const uint8_t *state)
{
	uint64_t h = hash(state);
	uint32_t tag = (uint32_t)(h >> 32), at = (uint32_t)h & bucket_mask;

	while (buckets[at].index &&
	       (buckets[at].tag != tag ||
		memcmp(states + (buckets[at].index - 1) * size, state, size) != 0))
		at = (at + 1) & bucket_mask;
	buckets[at].tag = tag;
	return &buckets[at];
}

static void *grow(void *old, size_t bytes)
{
	void *new = realloc(old, bytes);

	ASSERT(new);
	return new;
}

static void make_room(uint32_t wanted)
{
	room = wanted;
	bucket_mask = 2 * room - 1;
	free(buckets);
	states = grow(states, room * size);
	origins = grow(origins, room * sizeof(*origins));
	buckets = calloc((size_t)bucket_mask + 1, sizeof(*buckets));
	ASSERT(buckets);
	for (uint32_t i = 0; i < count; i++)
		find(states + i * size)->index = i + 1;
}

void visits_start(size_t state_size, const void *first)
{
	size = state_size;
	count = next = current = 0;
	make_room(1u << 16);
	visits_add(first, "start");
}

void visits_add(const void *state, const char *action)
{
	struct bucket *bucket = find(state);

	if (bucket->index)
		return;
	if (count == room) {
		make_room(2 * room);
		bucket = find(state);
	}
	memcpy(states + count * size, state, size);
	origins[count].parent = current;
	snprintf(origins[count].action, VISITS_ACTION_LEN, "%s", action);
	bucket->index = ++count;
}

bool visits_next(void *state)
{
	if (next == count)
		return false;
	current = next++;
	memcpy(state, states + current * size, size);
	return true;
}

static void print_history(uint32_t at)
{
	if (origins[at].parent != at)
		print_history(origins[at].parent);
	test_note("  %s", origins[at].action);
}

void visits_print_history(void)
{
	print_history(current);
}

uint32_t visits_stop(void)
{
	free(states);
	free(origins);
	free(buckets);
	states = NULL;
	origins = NULL;
	buckets = NULL;
	return count;
}
