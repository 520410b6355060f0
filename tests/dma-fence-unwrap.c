// SPDX-License-Identifier: MIT
#include "fence.h"

static struct dma_fence *array_of(struct dma_fence *a, struct dma_fence *b)
{
	struct dma_fence **fences = calloc(2, sizeof(*fences));
	struct dma_fence_array *array;

	fences[0] = a;
	fences[1] = b;
	array = dma_fence_array_create(2, fences, dma_fence_context_alloc(1), 1, false);
	ASSERT(array);
	return &array->base;
}

static struct dma_fence *link_to(struct dma_fence *prev, struct dma_fence *fence, uint64_t seqno)
{
	struct dma_fence_chain *chain = dma_fence_chain_alloc();

	dma_fence_chain_init(chain, prev, fence, seqno);
	return &chain->base;
}

/* Bit n: fence n was seen. */
static unsigned int seen_in(struct dma_fence *head, struct dma_fence **fences, unsigned int count)
{
	struct dma_fence_unwrap cursor;
	struct dma_fence *fence;
	unsigned int seen = 0, i;

	dma_fence_unwrap_for_each(fence, &cursor, head) {
		for (i = 0; i < count && fences[i] != fence; i++)
			;
		ASSERT(i < count && !(seen & 1u << i));
		seen |= 1u << i;
	}
	ASSERT(!cursor.chain);
	return seen;
}

TEST(E3_the_fences_in_chains_and_arrays_are_seen)
{
	struct dma_fence *f[4] = { fence_new(), fence_new(), fence_new(), fence_new() };
	struct dma_fence *first = array_of(dma_fence_get(f[0]), dma_fence_get(f[1]));
	struct dma_fence *second = array_of(dma_fence_get(f[2]), dma_fence_get(f[3]));
	struct dma_fence *chain;
	int i;

	ASSERT_EQ(seen_in(NULL, f, 4), 0);
	ASSERT_EQ(seen_in(f[0], f, 4), 1);
	ASSERT_EQ(seen_in(second, f, 4), 0xc);
	chain = link_to(link_to(NULL, first, 1), second, 2);
	ASSERT_EQ(seen_in(chain, f, 4), 0xf);
	dma_fence_put(chain);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(f[i]->refcount, 1);
		dma_fence_put(f[i]);
	}
}

TEST(E3_a_look_can_be_left_early)
{
	struct dma_fence *chain = link_to(link_to(NULL, fence_new(), 1), fence_new(), 2);
	struct dma_fence_unwrap cursor;

	ASSERT(dma_fence_unwrap_first(chain, &cursor));
	ASSERT(dma_fence_unwrap_next(&cursor));
	dma_fence_unwrap_end(&cursor);
	ASSERT_EQ(chain->refcount, 1);
	dma_fence_put(chain);
}

static struct dma_fence *merge(struct dma_fence *a, struct dma_fence *b)
{
	struct dma_fence *both[2] = { a, b };

	return dma_fence_unwrap_merge_array(2, both);
}

TEST(E3_merged_fences_are_one_that_ends_with_the_last)
{
	struct dma_fence *f[3] = { fence_new(), fence_new(), fence_new() };
	struct dma_fence *pair = array_of(dma_fence_get(f[0]), dma_fence_get(f[1]));
	struct dma_fence *all = merge(pair, f[2]);
	int i;

	ASSERT_EQ(seen_in(all, f, 3), 7);
	ASSERT(!dma_fence_is_array(dma_fence_array_first(all)));
	for (i = 0; i < 3; i++) {
		ASSERT(!dma_fence_is_signaled(all));
		dma_fence_signal(f[i]);
	}
	ASSERT(dma_fence_is_signaled(all));
	dma_fence_put(all);
	dma_fence_put(pair);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(f[i]->refcount, 1);
		dma_fence_put(f[i]);
	}
}

TEST(E3_of_one_context_merging_keeps_the_latest)
{
	struct dma_fence *f[4] = { &job_new_at(5, 1)->base, &job_new_at(5, 2)->base,
				   &job_new_at(6, 9)->base, &job_new_at(6, 8)->base };
	struct dma_fence *all = dma_fence_unwrap_merge_array(4, f), *one;
	int i;

	ASSERT_EQ(seen_in(all, f, 4), 1 << 1 | 1 << 2);
	dma_fence_put(all);
	one = merge(f[1], f[0]);
	ASSERT(one == f[1]);
	dma_fence_put(one);
	one = merge(f[0], f[0]);
	ASSERT(one == f[0]);
	dma_fence_put(one);
	for (i = 0; i < 4; i++)
		dma_fence_put(f[i]);
}

TEST(E3_merging_leaves_out_what_is_signalled)
{
	struct dma_fence *f[2] = { fence_new(), fence_new() }, *one;

	dma_fence_signal(f[0]);
	one = merge(f[0], f[1]);
	ASSERT(one == f[1]);
	dma_fence_put(one);
	one = merge(NULL, f[1]);
	ASSERT(one == f[1]);
	dma_fence_put(one);
	dma_fence_put(f[0]);
	dma_fence_put(f[1]);
}

TEST(E3_merging_what_is_signalled_keeps_the_latest_timestamp)
{
	struct dma_fence *f[2] = { fence_new(), fence_new() }, *one;

	dma_fence_signal_timestamp(f[0], 2000);
	dma_fence_signal_timestamp(f[1], 1000);
	one = merge(f[0], f[1]);
	ASSERT(one != f[0] && one != f[1]);
	ASSERT(dma_fence_is_signaled(one));
	ASSERT_EQ(dma_fence_timestamp(one), 2000);
	dma_fence_put(one);
	one = dma_fence_unwrap_merge_array(0, NULL);
	ASSERT(one && dma_fence_is_signaled(one));
	dma_fence_put(one);
	dma_fence_put(f[0]);
	dma_fence_put(f[1]);
}
