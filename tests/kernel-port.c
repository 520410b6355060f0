// SPDX-License-Identifier: MIT
/* A driver for an engine that copies buffers, as it would be written in the kernel. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#include <dmabuf/kernel.h>

struct engine {
	spinlock_t lock;
	struct list_head queue;
	u_int64_t context;
	u_int64_t next_seqno;
};

struct memory {
	struct dma_resv resv;
	char bytes[64];
	struct list_head link;
};

struct copy_job {
	struct dma_fence base;
	struct engine *engine;
	struct memory *from;
	struct memory *to;
	struct list_head link;
};

static struct copy_job *to_job(struct dma_fence *fence)
{
	return container_of(fence, struct copy_job, base);
}

static const char *engine_driver(struct dma_fence *fence)
{
	return "copy-engine";
}

static const char *engine_timeline(struct dma_fence *fence)
{
	return "ring0";
}

static void job_release(struct dma_fence *fence)
{
	kfree(to_job(fence));
}

static const struct dma_fence_ops engine_fence_ops = {
	.get_driver_name = engine_driver,
	.get_timeline_name = engine_timeline,
	.release = job_release,
};

static void engine_init(struct engine *engine)
{
	spin_lock_init(&engine->lock);
	INIT_LIST_HEAD(&engine->queue);
	engine->context = dma_fence_context_alloc(1);
	engine->next_seqno = 0;
}

/* Locks both memories in whatever order they come, and backs off as drivers do. */
static int lock_both(struct memory *a, struct memory *b, struct ww_acquire_ctx *ctx)
{
	struct memory *first = a, *second = b, *swap;
	int ret;

	ww_acquire_init(ctx, &reservation_ww_class);
	ret = dma_resv_lock_interruptible(&first->resv, ctx);
	while (!ret) {
		ret = dma_resv_lock_interruptible(&second->resv, ctx);
		if (ret != -EDEADLK) {
			if (ret)
				dma_resv_unlock(&first->resv);
			break;
		}
		dma_resv_unlock(&first->resv);
		ret = dma_resv_lock_slow_interruptible(&second->resv, ctx);
		swap = first;
		first = second;
		second = swap;
	}
	if (ret)
		ww_acquire_fini(ctx);
	else
		ww_acquire_done(ctx);
	return ret;
}

static void unlock_both(struct memory *a, struct memory *b, struct ww_acquire_ctx *ctx)
{
	dma_resv_unlock(&a->resv);
	dma_resv_unlock(&b->resv);
	ww_acquire_fini(ctx);
}

static struct dma_fence *engine_copy(struct engine *engine, struct memory *from, struct memory *to)
{
	struct copy_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	struct ww_acquire_ctx ctx;
	unsigned long flags;

	if (!job || lock_both(from, to, &ctx)) {
		kfree(job);
		return NULL;
	}
	if (dma_resv_reserve_fences(&from->resv, 1) || dma_resv_reserve_fences(&to->resv, 1)) {
		unlock_both(from, to, &ctx);
		kfree(job);
		return NULL;
	}
	job->engine = engine;
	job->from = from;
	job->to = to;
	spin_lock_irqsave(&engine->lock, flags);
	dma_fence_init(&job->base, &engine_fence_ops, &engine->lock, engine->context,
		       ++engine->next_seqno);
	list_add_tail(&job->link, &engine->queue);
	spin_unlock_irqrestore(&engine->lock, flags);
	dma_fence_get(&job->base); /* the queue's */
	dma_resv_add_fence(&from->resv, &job->base, DMA_RESV_USAGE_READ);
	dma_resv_add_fence(&to->resv, &job->base, DMA_RESV_USAGE_WRITE);
	unlock_both(from, to, &ctx);
	return &job->base;
}

/* The interrupt: all that is queued has been done. */
static void engine_irq(struct engine *engine)
{
	struct copy_job *job, *ahead;
	struct list_head done;
	unsigned long flags;

	INIT_LIST_HEAD(&done);
	spin_lock_irqsave(&engine->lock, flags);
	list_for_each_entry_safe(job, ahead, &engine->queue, link) {
		memcpy(job->to->bytes, job->from->bytes, sizeof(job->to->bytes));
		dma_fence_signal_locked(&job->base);
		list_move_tail(&job->link, &done);
	}
	spin_unlock_irqrestore(&engine->lock, flags);
	list_for_each_entry_safe(job, ahead, &done, link) {
		list_del(&job->link);
		dma_fence_put(&job->base);
	}
}

static void memory_init(struct memory *memory, const char *text)
{
	dma_resv_init(&memory->resv);
	strcpy(memory->bytes, text);
}

TEST(E3_a_driver_in_the_kernels_spelling_compiles_and_works)
{
	struct memory a, b;
	struct engine engine;
	struct dma_fence *fence;

	engine_init(&engine);
	memory_init(&a, "from a");
	memory_init(&b, "");
	fence = engine_copy(&engine, &a, &b);
	ASSERT(fence);
	ASSERT(!test_bit(DMA_FENCE_FLAG_SIGNALED_BIT, &fence->flags));
	ASSERT_EQ(dma_resv_wait_timeout(&b.resv, dma_resv_usage_rw(false), true,
					(long)msecs_to_jiffies(1)),
		  0);
	ASSERT(dma_resv_test_signaled(&a.resv, dma_resv_usage_rw(false)));
	engine_irq(&engine);
	ASSERT(dma_resv_wait_timeout(&b.resv, dma_resv_usage_rw(false), true,
				     MAX_SCHEDULE_TIMEOUT) > 0);
	ASSERT_STR_EQ(b.bytes, "from a");
	ASSERT_EQ(dma_fence_get_status(fence), 1);
	dma_fence_put(fence);
	dma_resv_fini(&a.resv);
	dma_resv_fini(&b.resv);
}

TEST(E3_the_kernels_merge_takes_fences_as_arguments)
{
	struct memory a, b;
	struct engine one, two;
	struct dma_fence *f1, *f2, *merged;

	engine_init(&one);
	engine_init(&two);
	memory_init(&a, "");
	memory_init(&b, "");
	f1 = engine_copy(&one, &a, &b);
	f2 = engine_copy(&two, &b, &a);
	merged = dma_fence_unwrap_merge(f1, f2);
	ASSERT(merged && dma_fence_is_container(merged) && to_dma_fence_array(merged));
	engine_irq(&one);
	ASSERT(!dma_fence_is_signaled(merged));
	engine_irq(&two);
	ASSERT(dma_fence_is_signaled(merged));
	dma_fence_put(merged);
	dma_fence_put(f1);
	dma_fence_put(f2);
	dma_resv_fini(&a.resv);
	dma_resv_fini(&b.resv);
}

/* Two threads copy in opposite directions: each takes the locks the other way round. */
static struct memory ends[2];

static void *copy_often(void *arg)
{
	int from = *(int *)arg, i;
	struct dma_fence *fence;
	struct engine engine;

	engine_init(&engine);
	for (i = 0; i < 5000; i++) {
		fence = engine_copy(&engine, &ends[from], &ends[!from]);
		ASSERT(fence);
		ASSERT_OK(dma_fence_signal(fence));
		/* The job stays queued until here, so that the engine has nothing to copy. */
		spin_lock(&engine.lock);
		list_del(&to_job(fence)->link);
		spin_unlock(&engine.lock);
		dma_fence_put(fence);
		dma_fence_put(fence);
	}
	return NULL;
}

TEST_TIMEOUT(E1_drivers_that_lock_in_opposite_orders_get_through, 300)
{
	int directions[2] = { 0, 1 }, i;
	pthread_t threads[2];

	memory_init(&ends[0], "");
	memory_init(&ends[1], "");
	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, copy_often, &directions[i]), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 2; i++)
		dma_resv_fini(&ends[i].resv);
}

TEST(E3_the_kernels_lists_and_bits)
{
	static DEFINE_WD_CLASS(wd_class);
	LIST_HEAD(all);
	struct memory m[3], *iter, *ahead;
	struct list_head *link;
	unsigned long word = 0;
	int n = 0;

	list_add_tail(&m[1].link, &all);
	list_add_tail(&m[2].link, &all);
	list_add(&m[0].link, &all);
	list_for_each_entry(iter, &all, link)
		ASSERT(iter == &m[n++]);
	list_for_each(link, &all)
		n--;
	ASSERT_EQ(n, 0);
	ASSERT(list_last_entry(&all, struct memory, link) == &m[2]);
	list_for_each_entry_safe(iter, ahead, &all, link)
		list_del_init(&iter->link);
	ASSERT(list_empty(&all));
	ASSERT(!test_and_set_bit(5, &word) && test_bit(5, &word) && word == 1ul << 5);
	ASSERT(test_and_clear_bit(5, &word) && !word);
	ASSERT(wd_class.is_wait_die);
}
