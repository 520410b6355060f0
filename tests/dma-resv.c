// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "fence.h"

static const enum dma_resv_usage all_usages[] = {
	DMA_RESV_USAGE_KERNEL,
	DMA_RESV_USAGE_WRITE,
	DMA_RESV_USAGE_READ,
	DMA_RESV_USAGE_BOOKKEEP,
};

/* Adds it with room of its own; the object is locked. */
static void add(struct dma_resv *obj, struct dma_fence *fence, enum dma_resv_usage usage)
{
	ASSERT_OK(dma_resv_reserve_fences(obj, 1));
	ASSERT_OK(dma_resv_add_fence(obj, fence, usage));
}

static struct dma_resv *locked_new(void)
{
	struct dma_resv *obj = malloc(sizeof(*obj));

	dma_resv_init(obj);
	ASSERT_OK(dma_resv_lock(obj, NULL));
	return obj;
}

static void locked_free(struct dma_resv *obj)
{
	ASSERT_OK(dma_resv_unlock(obj));
	dma_resv_fini(obj);
	free(obj);
}

static unsigned int count(struct dma_resv *obj, enum dma_resv_usage usage)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	unsigned int n = 0;

	dma_resv_for_each_fence(&cursor, obj, usage, fence)
		n++;
	return n;
}

TEST(E2_the_lock_of_an_object_is_a_wait_die_mutex)
{
	struct dmabuf_ww_acquire_ctx ctx;
	struct dma_resv obj;

	dma_resv_init(&obj);
	ASSERT_ERR(dma_resv_assert_held(&obj), EPERM);
	ASSERT_ERR(dma_resv_unlock(&obj), EPERM);
	ASSERT(dma_resv_trylock(&obj));
	ASSERT(!dma_resv_trylock(&obj));
	ASSERT(dma_resv_is_locked(&obj) && !dma_resv_locking_ctx(&obj));
	ASSERT_OK(dma_resv_assert_held(&obj));
	ASSERT_OK(dma_resv_unlock(&obj));
	ASSERT(dma_resv_ww_class()->is_wait_die); /* as in Linux 6.1 */
	dmabuf_ww_acquire_init(&ctx, dma_resv_ww_class());
	ASSERT_OK(dma_resv_lock_interruptible(&obj, &ctx));
	ASSERT_ERR(dma_resv_lock(&obj, &ctx), EALREADY);
	ASSERT(dma_resv_locking_ctx(&obj) == &ctx);
	dma_resv_unlock(&obj);
	ASSERT_OK(dma_resv_lock_slow(&obj, &ctx));
	dma_resv_unlock(&obj);
	ASSERT_OK(dma_resv_lock_slow_interruptible(&obj, &ctx));
	dma_resv_unlock(&obj);
	ASSERT_OK(dmabuf_ww_acquire_fini(&ctx));
	dma_resv_fini(&obj);
}

TEST(E2_who_asks_for_a_usage_gets_the_more_important_ones_too)
{
	unsigned int i, j;

	for (i = 0; i < 4; i++) {
		struct dma_resv *obj = locked_new();
		struct dma_fence *f = fence_new();

		add(obj, f, all_usages[i]);
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(count(obj, all_usages[j]), i <= j);
			ASSERT_EQ(dma_resv_test_signaled(obj, all_usages[j]), i > j);
			ASSERT_EQ(dma_resv_wait_timeout(obj, all_usages[j], true, 0), i > j);
		}
		dma_fence_signal(f);
		ASSERT(dma_resv_test_signaled(obj, DMA_RESV_USAGE_BOOKKEEP));
		dma_fence_put(f);
		locked_free(obj);
	}
	ASSERT_EQ(dma_resv_usage_rw(true), DMA_RESV_USAGE_READ);
	ASSERT_EQ(dma_resv_usage_rw(false), DMA_RESV_USAGE_WRITE);
}

TEST(E2_room_is_reserved_before_fences_are_added)
{
	struct dma_resv *obj = locked_new();
	struct dma_fence *f[5];
	int i;

	for (i = 0; i < 5; i++)
		f[i] = fence_new();
	ASSERT_ERR(dma_resv_add_fence(obj, f[0], DMA_RESV_USAGE_READ), ENOSPC);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "dma_resv_reserve_fences");
	ASSERT_ERR(dma_resv_reserve_fences(obj, 0), EINVAL);
	ASSERT_ERR(dma_resv_reserve_fences(obj, UINT32_MAX), ENOMEM);
	ASSERT_OK(dma_resv_reserve_fences(obj, 4));
	for (i = 0; i < 4; i++)
		ASSERT_OK(dma_resv_add_fence(obj, f[i], DMA_RESV_USAGE_READ));
	ASSERT_ERR(dma_resv_add_fence(obj, f[4], DMA_RESV_USAGE_READ), ENOSPC);
	ASSERT_EQ(f[4]->refcount, 1);
	ASSERT_EQ(count(obj, DMA_RESV_USAGE_READ), 4);
	add(obj, f[4], DMA_RESV_USAGE_READ);
	ASSERT_EQ(count(obj, DMA_RESV_USAGE_READ), 5);
	ASSERT_ERR(dma_resv_add_fence(obj, NULL, DMA_RESV_USAGE_READ), EINVAL);
	ASSERT_ERR(dma_resv_add_fence(obj, f[0], (enum dma_resv_usage)4), EINVAL);
	locked_free(obj);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(f[i]->refcount, 1);
		dma_fence_put(f[i]);
	}
}

TEST(E2_fences_change_under_the_lock_only)
{
	struct dma_resv obj, other;
	struct dma_fence *f = fence_new();

	dma_resv_init(&obj);
	dma_resv_init(&other);
	ASSERT_ERR(dma_resv_reserve_fences(&obj, 1), EPERM);
	ASSERT_ERR(dma_resv_add_fence(&obj, f, DMA_RESV_USAGE_READ), EPERM);
	ASSERT_ERR(dma_resv_copy_fences(&obj, &other), EPERM);
	dma_resv_fini(&obj);
	dma_resv_fini(&other);
	dma_fence_put(f);
}

static void added_after(uint64_t seqno, enum dma_resv_usage old, enum dma_resv_usage new_usage,
			unsigned int want)
{
	struct dma_resv *obj = locked_new();
	struct dma_fence *first = &job_new_at(5, 10)->base, *second = &job_new_at(5, seqno)->base;

	add(obj, first, old);
	add(obj, second, new_usage);
	ASSERT_EQ(count(obj, DMA_RESV_USAGE_BOOKKEEP), want);
	locked_free(obj);
	dma_fence_put(first);
	dma_fence_put(second);
}

TEST(E2_a_later_fence_of_the_same_context_takes_the_place_of_the_earlier)
{
	added_after(11, DMA_RESV_USAGE_READ, DMA_RESV_USAGE_READ, 1);
	added_after(11, DMA_RESV_USAGE_READ, DMA_RESV_USAGE_WRITE, 1);
	/* It would be forgotten by those who wait for writes. */
	added_after(11, DMA_RESV_USAGE_WRITE, DMA_RESV_USAGE_READ, 2);
	added_after(9, DMA_RESV_USAGE_READ, DMA_RESV_USAGE_READ, 2);
}

TEST(E2_a_signalled_fence_makes_room)
{
	struct dma_resv *obj = locked_new();
	struct dma_fence *f[5];
	int i;

	for (i = 0; i < 5; i++)
		f[i] = fence_new();
	ASSERT_OK(dma_resv_reserve_fences(obj, 4));
	for (i = 0; i < 4; i++)
		ASSERT_OK(dma_resv_add_fence(obj, f[i], DMA_RESV_USAGE_READ));
	dma_fence_signal(f[2]);
	ASSERT_OK(dma_resv_add_fence(obj, f[4], DMA_RESV_USAGE_READ));
	ASSERT_EQ(count(obj, DMA_RESV_USAGE_READ), 4);
	ASSERT_EQ(f[2]->refcount, 1);
	dma_fence_signal(f[0]);
	ASSERT_OK(dma_resv_reserve_fences(obj, 1));
	ASSERT_EQ(count(obj, DMA_RESV_USAGE_READ), 3);
	ASSERT_EQ(f[0]->refcount, 1);
	locked_free(obj);
	for (i = 0; i < 5; i++)
		dma_fence_put(f[i]);
}

TEST(E2_a_context_can_be_replaced)
{
	struct dma_resv *obj = locked_new();
	struct dma_fence *mine = &job_new_at(5, 1)->base, *other = &job_new_at(6, 1)->base;
	struct dma_fence *preempted = &job_new_at(7, 1)->base, *fence;
	struct dma_resv_iter cursor;

	add(obj, mine, DMA_RESV_USAGE_WRITE);
	add(obj, other, DMA_RESV_USAGE_WRITE);
	dma_resv_replace_fences(obj, 5, preempted, DMA_RESV_USAGE_BOOKKEEP);
	ASSERT_EQ(mine->refcount, 1);
	ASSERT_EQ(count(obj, DMA_RESV_USAGE_WRITE), 1);
	dma_resv_for_each_fence(&cursor, obj, DMA_RESV_USAGE_BOOKKEEP, fence) {
		ASSERT(fence == (dma_resv_iter_is_restarted(&cursor) ? preempted : other));
		ASSERT_EQ(dma_resv_iter_usage(&cursor),
			  fence == other ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_BOOKKEEP);
	}
	locked_free(obj);
	dma_fence_put(mine);
	dma_fence_put(other);
	dma_fence_put(preempted);
}

TEST(E2_an_unlocked_look_leaves_out_what_is_signalled)
{
	struct dma_resv *obj = locked_new();
	struct dma_fence *f[3], *fence;
	struct dma_resv_iter cursor;
	unsigned int seen = 0, i;

	for (i = 0; i < 3; i++) {
		f[i] = fence_new();
		add(obj, f[i], all_usages[i]);
	}
	dma_fence_signal(f[0]);
	dma_resv_iter_begin(&cursor, obj, DMA_RESV_USAGE_READ);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		ASSERT_EQ(dma_resv_iter_is_restarted(&cursor), seen == 0);
		seen++;
		ASSERT(fence == f[seen]);
		ASSERT_EQ(dma_resv_iter_usage(&cursor), all_usages[seen]);
		ASSERT_EQ(fence->refcount, 3);
	}
	dma_resv_iter_end(&cursor);
	ASSERT_EQ(seen, 2);
	ASSERT_EQ(count(obj, DMA_RESV_USAGE_READ), 3); /* the locked look sees all */
	locked_free(obj);
	for (i = 0; i < 3; i++)
		dma_fence_put(f[i]);
}

TEST(E2_an_unlocked_look_begins_anew_when_the_list_is_exchanged)
{
	struct dma_resv *obj = locked_new();
	struct dma_fence *f[2] = { fence_new(), fence_new() }, *fence;
	struct dma_resv_iter cursor;
	int seen = 0, restarts = 0;

	add(obj, f[0], DMA_RESV_USAGE_READ);
	add(obj, f[1], DMA_RESV_USAGE_READ);
	dma_resv_iter_begin(&cursor, obj, DMA_RESV_USAGE_READ);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		if (dma_resv_iter_is_restarted(&cursor)) {
			seen = 0;
			restarts++;
		}
		if (restarts == 1 && seen == 0)
			ASSERT_OK(dma_resv_reserve_fences(obj, 100));
		seen++;
	}
	dma_resv_iter_end(&cursor);
	ASSERT_EQ(restarts, 2);
	ASSERT_EQ(seen, 2);
	locked_free(obj);
	dma_fence_put(f[0]);
	dma_fence_put(f[1]);
}

TEST(E2_fences_can_be_had_as_an_array_and_as_one)
{
	struct dma_fence *f[2] = { fence_new(), fence_new() }, *one = f[0], **many;
	struct dma_resv *obj = locked_new();
	unsigned int n = 77;

	ASSERT_OK(dma_resv_get_fences(obj, DMA_RESV_USAGE_READ, &n, &many));
	ASSERT(n == 0 && !many);
	ASSERT_OK(dma_resv_get_singleton(obj, DMA_RESV_USAGE_READ, &one));
	ASSERT(!one);
	add(obj, f[0], DMA_RESV_USAGE_READ);
	ASSERT_OK(dma_resv_get_singleton(obj, DMA_RESV_USAGE_READ, &one));
	ASSERT(one == f[0]);
	dma_fence_put(one);
	add(obj, f[1], DMA_RESV_USAGE_READ);
	ASSERT_OK(dma_resv_get_fences(obj, DMA_RESV_USAGE_READ, &n, &many));
	ASSERT(n == 2 && many[0] == f[0] && many[1] == f[1]);
	dma_fence_put(many[0]);
	dma_fence_put(many[1]);
	free(many);
	ASSERT_OK(dma_resv_get_singleton(obj, DMA_RESV_USAGE_READ, &one));
	ASSERT(dma_fence_is_array(one) && !dma_fence_is_signaled(one));
	dma_fence_signal(f[0]);
	dma_fence_signal(f[1]);
	ASSERT(dma_fence_is_signaled(one));
	dma_fence_put(one);
	locked_free(obj);
	dma_fence_put(f[0]);
	dma_fence_put(f[1]);
}

TEST(E2_fences_can_be_copied)
{
	struct dma_resv *src = locked_new(), *dst = locked_new();
	struct dma_fence *f[3] = { fence_new(), fence_new(), fence_new() };
	int i;

	add(dst, f[0], DMA_RESV_USAGE_READ);
	add(src, f[1], DMA_RESV_USAGE_WRITE);
	add(src, f[2], DMA_RESV_USAGE_BOOKKEEP);
	ASSERT_OK(dma_resv_copy_fences(dst, src));
	ASSERT_EQ(f[0]->refcount, 1);
	ASSERT_EQ(count(dst, DMA_RESV_USAGE_WRITE), 1);
	ASSERT_EQ(count(dst, DMA_RESV_USAGE_BOOKKEEP), 2);
	dma_fence_signal(f[1]);
	dma_fence_signal(f[2]);
	ASSERT_OK(dma_resv_copy_fences(dst, src));
	ASSERT_EQ(count(dst, DMA_RESV_USAGE_BOOKKEEP), 0);
	locked_free(dst);
	locked_free(src);
	for (i = 0; i < 3; i++)
		dma_fence_put(f[i]);
}

TEST(E2_waiting_for_an_object_is_waiting_for_all_its_fences)
{
	struct dma_fence *f[2] = { fence_new(), fence_new() };
	struct dma_resv *obj = locked_new();

	ASSERT_EQ(dma_resv_wait_timeout(obj, DMA_RESV_USAGE_READ, true, 50), 50);
	ASSERT_ERR(dma_resv_wait_timeout(obj, DMA_RESV_USAGE_READ, true, -1), EINVAL);
	add(obj, f[0], DMA_RESV_USAGE_READ);
	add(obj, f[1], DMA_RESV_USAGE_READ);
	dma_fence_signal(f[0]);
	ASSERT_EQ(dma_resv_wait_timeout(obj, DMA_RESV_USAGE_READ, true, 5), 0);
	dma_fence_signal(f[1]);
	ASSERT(dma_resv_wait_timeout(obj, DMA_RESV_USAGE_READ, true, 5) > 0);
	locked_free(obj);
	dma_fence_put(f[0]);
	dma_fence_put(f[1]);
}

TEST(E2_the_fences_are_described)
{
	struct dma_fence *f = &job_new_at(5, 17)->base;
	struct dma_resv *obj = locked_new();
	char text[64];

	ASSERT_OK(dma_resv_describe(obj, text, sizeof(text)));
	ASSERT_STR_EQ(text, "");
	add(obj, f, DMA_RESV_USAGE_WRITE);
	ASSERT_OK(dma_resv_describe(obj, text, sizeof(text)));
	ASSERT_STR_EQ(text, "write fence: camera frames seq 17 unsignalled\n");
	ASSERT_ERR(dma_resv_describe(obj, text, 20), ENOSPC);
	ASSERT_STR_EQ(text, "write fence: camera");
	ASSERT_ERR(dma_resv_describe(obj, text, 46), ENOSPC);
	ASSERT_ERR(dma_resv_describe(obj, NULL, 1), EINVAL);
	locked_free(obj);
	dma_fence_put(f);
}

/* One changes the object, others look without its lock. */
static struct dma_resv shared;
static atomic_bool stop;
static atomic_int looks;

static void *looker(void *arg)
{
	struct dma_fence **many, *one;
	unsigned int n, i;

	while (!stop) {
		ASSERT_OK(dma_resv_get_fences(&shared, DMA_RESV_USAGE_BOOKKEEP, &n, &many));
		for (i = 0; i < n; i++)
			dma_fence_put(many[i]);
		free(many);
		ASSERT_OK(dma_resv_get_singleton(&shared, DMA_RESV_USAGE_WRITE, &one));
		dma_fence_put(one);
		dma_resv_test_signaled(&shared, DMA_RESV_USAGE_READ);
		dma_resv_wait_timeout(&shared, DMA_RESV_USAGE_READ, true, 1);
		looks++;
	}
	return NULL;
}

TEST_TIMEOUT(E2_unlocked_looks_are_safe_while_fences_come_and_go, 300)
{
	struct dma_fence *f[8] = { 0 };
	pthread_t threads[2];
	unsigned int i, slot;

	dma_resv_init(&shared);
	for (i = 0; i < 2; i++)
		threads[i] = thread_start(looker, NULL);
	for (i = 0; i < 20000 || looks < 2000; i++) {
		slot = i % 8;
		if (f[slot]) {
			dma_fence_signal(f[slot]);
			dma_fence_put(f[slot]);
		}
		f[slot] = &job_new_at(i % 5, i)->base;
		ASSERT_OK(dma_resv_lock(&shared, NULL));
		add(&shared, f[slot], all_usages[i % 4]);
		if (i % 64 == 63) {
			struct dma_resv empty;

			dma_resv_init(&empty);
			ASSERT_OK(dma_resv_copy_fences(&shared, &empty));
			dma_resv_fini(&empty);
		}
		ASSERT_OK(dma_resv_unlock(&shared));
	}
	stop = true;
	for (i = 0; i < 2; i++)
		thread_join(threads[i]);
	dma_resv_fini(&shared);
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(f[i]->refcount, 1);
		dma_fence_put(f[i]);
	}
}
