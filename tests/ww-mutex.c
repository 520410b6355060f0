// SPDX-License-Identifier: MIT
#include <signal.h>
#include <limits.h>

#include "fence.h"

static DMABUF_DEFINE_WW_CLASS(wound_wait);
static DMABUF_DEFINE_WD_CLASS(wait_die);

typedef struct dmabuf_ww_acquire_ctx ctx_t;
typedef struct dmabuf_ww_mutex mutex_t;

/* A thread that takes one mutex and says how that ended. */
struct taker {
	mutex_t *mutex;
	ctx_t *ctx;
	bool interruptible;
	atomic_bool ended;
	int result;
	pthread_t thread;
};

static void *take(void *arg)
{
	struct taker *t = arg;

	t->result = t->interruptible ? dmabuf_ww_mutex_lock_interruptible(t->mutex, t->ctx)
				     : dmabuf_ww_mutex_lock(t->mutex, t->ctx);
	t->ended = true;
	return NULL;
}

struct queue_length {
	mutex_t *mutex;
	int want;
};

static bool queue_is(void *arg)
{
	struct queue_length *q = arg;
	struct dmabuf_list *link;
	int count = 0;

	if (!dma_fence_lock_trylock(&q->mutex->lock))
		return false;
	for (link = q->mutex->waiters.next; link != &q->mutex->waiters; link = link->next)
		count++;
	dma_fence_lock_unlock(&q->mutex->lock);
	return count == q->want;
}

static void await_queue(mutex_t *mutex, int want)
{
	struct queue_length q = { mutex, want };

	ASSERT(eventually(queue_is, &q, 20000));
}

/* Returns when the thread waits; @length counts it. */
static void take_and_wait(struct taker *t, mutex_t *mutex, ctx_t *ctx, int length)
{
	*t = (struct taker){ .mutex = mutex, .ctx = ctx };
	t->thread = thread_start(take, t);
	await_queue(mutex, length);
}

static int taken(struct taker *t)
{
	thread_join(t->thread);
	return t->result;
}

static void basics(struct dmabuf_ww_class *ww_class)
{
	mutex_t m;
	ctx_t ctx;

	dmabuf_ww_mutex_init(&m, ww_class);
	ASSERT(!dmabuf_ww_mutex_is_locked(&m));
	ASSERT_OK(dmabuf_ww_mutex_lock(&m, NULL));
	ASSERT(dmabuf_ww_mutex_is_locked(&m));
	ASSERT(dmabuf_ww_mutex_ctx(&m) == NULL);
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&m, NULL), 0);
	ASSERT_ERR(dmabuf_ww_mutex_destroy(&m), EBUSY);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&m));
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&m, NULL), 1);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&m));
	ASSERT_ERR(dmabuf_ww_mutex_unlock(&m), EPERM);

	dmabuf_ww_acquire_init(&ctx, ww_class);
	ASSERT_OK(dmabuf_ww_mutex_lock(&m, &ctx));
	ASSERT(dmabuf_ww_mutex_ctx(&m) == &ctx);
	ASSERT_ERR(dmabuf_ww_mutex_lock(&m, &ctx), EALREADY);
	ASSERT_ERR(dmabuf_ww_mutex_lock_interruptible(&m, &ctx), EALREADY);
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&m, &ctx), 0);
	ASSERT_EQ(ctx.acquired, 1);
	ASSERT_ERR(dmabuf_ww_acquire_fini(&ctx), EBUSY);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&m));
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&m, &ctx), 1);
	ASSERT_EQ(ctx.acquired, 1);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&m));
	ASSERT_EQ(ctx.acquired, 0);
	ASSERT_OK(dmabuf_ww_acquire_done(&ctx));
	ASSERT_ERR(dmabuf_ww_acquire_done(&ctx), EINVAL);
	ASSERT_ERR(dmabuf_ww_mutex_lock(&m, &ctx), EINVAL);
	ASSERT_OK(dmabuf_ww_acquire_fini(&ctx));
	ASSERT_OK(dmabuf_ww_mutex_destroy(&m));
}

TEST(E1_a_mutex_is_taken_and_given_back)
{
	basics(&wound_wait);
	basics(&wait_die);
}

TEST(E1_context_and_mutex_must_be_of_one_class)
{
	mutex_t m;
	ctx_t ctx;

	dmabuf_ww_mutex_init(&m, &wound_wait);
	dmabuf_ww_acquire_init(&ctx, &wait_die);
	ASSERT_ERR(dmabuf_ww_mutex_lock(&m, &ctx), EINVAL);
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&m, &ctx), 0);
	ASSERT(!dmabuf_ww_mutex_is_locked(&m));
}

TEST(E1_the_slow_path_is_for_contexts_that_hold_nothing)
{
	mutex_t m[2];
	ctx_t ctx;

	dmabuf_ww_mutex_init(&m[0], &wound_wait);
	dmabuf_ww_mutex_init(&m[1], &wound_wait);
	dmabuf_ww_acquire_init(&ctx, &wound_wait);
	ASSERT_OK(dmabuf_ww_mutex_lock_slow(&m[0], &ctx));
	ASSERT_ERR(dmabuf_ww_mutex_lock_slow(&m[1], &ctx), EINVAL);
	ASSERT_ERR(dmabuf_ww_mutex_lock_slow_interruptible(&m[1], &ctx), EINVAL);
	dmabuf_ww_mutex_unlock(&m[0]);
	ASSERT_OK(dmabuf_ww_mutex_lock_slow_interruptible(&m[1], &ctx));
	dmabuf_ww_mutex_unlock(&m[1]);
}

/* The older one holds m[1] and wants m[0]; the younger one holds m[0]. */
struct pair {
	mutex_t m[2];
	ctx_t older, younger;
};

static void pair_init(struct pair *p, struct dmabuf_ww_class *ww_class)
{
	dmabuf_ww_mutex_init(&p->m[0], ww_class);
	dmabuf_ww_mutex_init(&p->m[1], ww_class);
	dmabuf_ww_acquire_init(&p->older, ww_class);
	dmabuf_ww_acquire_init(&p->younger, ww_class);
	ASSERT_OK(dmabuf_ww_mutex_lock(&p->m[0], &p->younger));
	ASSERT_OK(dmabuf_ww_mutex_lock(&p->m[1], &p->older));
}

static void abba(struct dmabuf_ww_class *ww_class)
{
	struct taker old;
	struct pair p;

	pair_init(&p, ww_class);
	take_and_wait(&old, &p.m[0], &p.older, 1);
	ASSERT_ERR(dmabuf_ww_mutex_lock(&p.m[1], &p.younger), EDEADLK);
	ASSERT_EQ(p.younger.acquired, 1);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[0]));
	ASSERT_OK(taken(&old));
	ASSERT(dmabuf_ww_mutex_ctx(&p.m[0]) == &p.older);
	ASSERT_EQ(p.older.acquired, 2);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[0]));
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[1]));
	ASSERT_OK(dmabuf_ww_mutex_lock_slow(&p.m[1], &p.younger));
	ASSERT_OK(dmabuf_ww_mutex_lock(&p.m[0], &p.younger));
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[0]));
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[1]));
}

TEST(E1_of_two_that_wait_for_each_other_the_younger_gives_way)
{
	abba(&wound_wait);
	abba(&wait_die);
}

TEST(E1_ages_wrap)
{
	/* One on each side of the sign; the low 16 bits tell processes apart. */
	wound_wait.stamp = INT64_MAX - 0x1ffff;
	abba(&wound_wait);
	wait_die.stamp = INT64_MAX - 0x1ffff;
	abba(&wait_die);
}

TEST(E1_wound_wait_wakes_the_younger_that_waits)
{
	struct taker young, old;
	struct pair p;

	pair_init(&p, &wound_wait);
	take_and_wait(&young, &p.m[1], &p.younger, 1);
	take_and_wait(&old, &p.m[0], &p.older, 1);
	ASSERT_ERR(taken(&young), EDEADLK);
	ASSERT(!old.ended);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[0]));
	ASSERT_OK(taken(&old));
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[0]));
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[1]));
	ASSERT_EQ(p.m[1].word, 0);
}

TEST(E1_wait_die_tells_the_younger_at_once)
{
	struct pair p;

	pair_init(&p, &wait_die);
	ASSERT_ERR(dmabuf_ww_mutex_lock(&p.m[1], &p.younger), EDEADLK);
	ASSERT_ERR(dmabuf_ww_mutex_lock_interruptible(&p.m[1], &p.younger), EDEADLK);
	ASSERT_EQ(p.m[1].word,
		  (uintptr_t)&p.older | 1); /* nobody waits: no detour for its holder */
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[1]));
	ASSERT_EQ(p.m[1].word, 0);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[0]));
}

TEST(E1_a_wounded_context_still_takes_what_is_free)
{
	struct taker old;
	struct pair p;
	mutex_t other;

	dmabuf_ww_mutex_init(&other, &wound_wait);
	pair_init(&p, &wound_wait);
	take_and_wait(&old, &p.m[0], &p.older, 1);
	ASSERT_OK(dmabuf_ww_mutex_lock(&other, &p.younger));
	ASSERT_ERR(dmabuf_ww_mutex_lock(&p.m[1], &p.younger), EDEADLK);
	ASSERT_OK(dmabuf_ww_mutex_unlock(&other));
	ASSERT_OK(dmabuf_ww_mutex_unlock(&p.m[0]));
	ASSERT_OK(taken(&old));
	dmabuf_ww_mutex_unlock(&p.m[0]);
	dmabuf_ww_mutex_unlock(&p.m[1]);
	/* Nothing is held any more, so the wound is healed. */
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&other, &p.younger), 1);
	ASSERT_EQ(p.younger.wounded, false);
	dmabuf_ww_mutex_unlock(&other);
}

/* Who holds nothing cannot be part of a deadlock: it waits, and does not wound. */
static void first_mutex(struct dmabuf_ww_class *ww_class)
{
	ctx_t older, younger;
	struct taker t;
	mutex_t m;

	dmabuf_ww_mutex_init(&m, ww_class);
	dmabuf_ww_acquire_init(&older, ww_class);
	dmabuf_ww_acquire_init(&younger, ww_class);
	ASSERT_OK(dmabuf_ww_mutex_lock(&m, &older));
	take_and_wait(&t, &m, &younger, 1);
	dmabuf_ww_mutex_unlock(&m);
	ASSERT_OK(taken(&t));
	take_and_wait(&t, &m, &older, 1);
	ASSERT(!younger.wounded);
	dmabuf_ww_mutex_unlock(&m);
	ASSERT_OK(taken(&t));
	dmabuf_ww_mutex_unlock(&m);
}

TEST(E1_a_context_waits_for_its_first_mutex)
{
	first_mutex(&wound_wait);
	first_mutex(&wait_die);
}

/* Five waiters; the order in which they get the mutex. */
static void order(struct dmabuf_ww_class *ww_class)
{
	static const int arrival[] = { 2, -1, 0, -1, 1 }; /* ages; -1: no context */
	static const int served[] = { 2, 4, 0, 1, 3 };
	struct taker t[5];
	ctx_t ctx[3];
	mutex_t m;
	int i, j;

	dmabuf_ww_mutex_init(&m, ww_class);
	for (i = 0; i < 3; i++)
		dmabuf_ww_acquire_init(&ctx[i], ww_class);
	ASSERT_OK(dmabuf_ww_mutex_lock(&m, NULL));
	for (i = 0; i < 5; i++)
		take_and_wait(&t[i], &m, arrival[i] < 0 ? NULL : &ctx[arrival[i]], i + 1);
	for (i = 0; i < 5; i++) {
		dmabuf_ww_mutex_unlock(&m);
		ASSERT_OK(taken(&t[served[i]]));
		for (j = i + 1; j < 5; j++)
			ASSERT(!t[served[j]].ended);
	}
	dmabuf_ww_mutex_unlock(&m);
	ASSERT_EQ(m.word, 0);
}

TEST(E1_waiters_are_served_by_age_and_the_rest_in_order_of_arrival)
{
	order(&wound_wait);
	order(&wait_die);
}

TEST(E1_wait_die_waiters_give_way_to_an_older_one_that_comes)
{
	struct taker young, old;
	ctx_t older, younger;
	mutex_t m, held;

	dmabuf_ww_mutex_init(&m, &wait_die);
	dmabuf_ww_mutex_init(&held, &wait_die);
	dmabuf_ww_acquire_init(&older, &wait_die);
	dmabuf_ww_acquire_init(&younger, &wait_die);
	ASSERT_OK(dmabuf_ww_mutex_lock(&m, NULL));
	ASSERT_OK(dmabuf_ww_mutex_lock(&held, &younger));
	take_and_wait(&young, &m, &younger, 1);
	take_and_wait(&old, &m, &older, 1);
	ASSERT_ERR(taken(&young), EDEADLK);
	/* And behind an older one that waits, it does not even begin to wait. */
	ASSERT_ERR(dmabuf_ww_mutex_lock(&m, &younger), EDEADLK);
	dmabuf_ww_mutex_unlock(&m);
	ASSERT_OK(taken(&old));
	dmabuf_ww_mutex_unlock(&m);
	dmabuf_ww_mutex_unlock(&held);
}

static void on_signal(int number)
{
}

TEST(E1_a_signal_handler_ends_an_interruptible_lock)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct taker t = { .interruptible = true }, rest;
	int64_t start = now_ms();
	ctx_t ctx;
	mutex_t m;

	ASSERT_OK(sigaction(SIGUSR1, &action, NULL));
	dmabuf_ww_mutex_init(&m, &wound_wait);
	dmabuf_ww_acquire_init(&ctx, &wound_wait);
	ASSERT_OK(dmabuf_ww_mutex_lock(&m, NULL));
	t.mutex = &m;
	t.ctx = &ctx;
	t.thread = thread_start(take, &t);
	while (!t.ended && now_ms() < start + 20000) {
		pthread_kill(t.thread, SIGUSR1);
		sched_yield();
	}
	ASSERT_ERR(taken(&t), EINTR);
	ASSERT_EQ(ctx.acquired, 0);
	/* The one that left takes nobody's place. */
	take_and_wait(&rest, &m, NULL, 1);
	dmabuf_ww_mutex_unlock(&m);
	ASSERT_OK(taken(&rest));
	dmabuf_ww_mutex_unlock(&m);
	ASSERT_EQ(m.word, 0);
}

TEST(E1_a_signal_handler_does_not_end_an_uninterruptible_lock)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct taker t;
	mutex_t m;
	int i;

	ASSERT_OK(sigaction(SIGUSR1, &action, NULL));
	dmabuf_ww_mutex_init(&m, &wound_wait);
	ASSERT_OK(dmabuf_ww_mutex_lock(&m, NULL));
	take_and_wait(&t, &m, NULL, 1);
	for (i = 0; i < 200; i++) {
		pthread_kill(t.thread, SIGUSR1);
		sched_yield();
	}
	ASSERT(!t.ended);
	dmabuf_ww_mutex_unlock(&m);
	ASSERT_OK(taken(&t));
	dmabuf_ww_mutex_unlock(&m);
}
