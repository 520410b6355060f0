// SPDX-License-Identifier: MIT
/* The lock of a buffer's reservation object, with and without contexts, across processes: row E1.
 */
#include <dmabuf.h>

#include <sys/syscall.h>

#include "resv-remote.h"

static DMABUF_DEFINE_WW_CLASS(wound_wait);

struct cast {
	struct dma_buf *b[2];
	struct remote remote;
	struct dmabuf_ww_acquire_ctx ctx;
};

static void cast_begin(struct cast *c)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		ASSERT((c->b[i] = dma_buf_alloc("x", 4096, O_RDWR)));
	remote_start(&c->remote, c->b, 2);
}

static void cast_end(struct cast *c)
{
	dma_buf_put(c->b[0]);
	dma_buf_put(c->b[1]);
}

static struct dma_resv *resv(struct cast *c, unsigned int i)
{
	return c->b[i]->resv;
}

/* Contexts of both; the older one has buffer 0, the younger one buffer 1. */
static void cross(struct cast *c, bool we_are_older, bool wounds)
{
	struct dmabuf_ww_class *kind = wounds ? &wound_wait : dma_resv_ww_class();

	cast_begin(c);
	if (we_are_older)
		dmabuf_ww_acquire_init(&c->ctx, kind);
	ASSERT_OK(remote_call(&c->remote, ORDER_BEGIN, 0, wounds));
	/* A microsecond is the least by which contexts of two processes differ. */
	usleep(1000);
	if (!we_are_older)
		dmabuf_ww_acquire_init(&c->ctx, kind);
	ASSERT_OK(dma_resv_lock(resv(c, !we_are_older), &c->ctx));
	ASSERT_OK(remote_call(&c->remote, ORDER_LOCK, we_are_older, 0));
}

TEST(E1_every_buffer_has_a_reservation_object)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR), *again;
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	ASSERT(dmabuf->resv);
	ASSERT(!dma_resv_is_locked(dmabuf->resv));
	again = dma_buf_get(fd);
	ASSERT(again->resv == dmabuf->resv);
	dma_buf_put(again);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(E1_the_lock_of_a_buffer_excludes_other_processes)
{
	struct cast c;

	cast_begin(&c);
	ASSERT_ERR(dma_resv_assert_held(resv(&c, 0)), EPERM);
	ASSERT_ERR(dma_resv_unlock(resv(&c, 0)), EPERM);
	ASSERT_OK(dma_resv_lock(resv(&c, 0), NULL));
	ASSERT_OK(dma_resv_assert_held(resv(&c, 0)));
	ASSERT_EQ(remote_call(&c.remote, ORDER_TRYLOCK, 0, 0), 0);
	ASSERT_ERR(remote_call(&c.remote, ORDER_UNLOCK, 0, 0), EPERM);
	remote_send(&c.remote, (struct command){ ORDER_LOCK_PLAIN, 0, 0, 0 });
	remote_waits(&c.remote, c.b[0], true);
	ASSERT(!remote_answered(&c.remote));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(remote_answer(&c.remote));
	/* Somebody has it, but not we. */
	ASSERT(dma_resv_is_locked(resv(&c, 0)));
	ASSERT_ERR(dma_resv_assert_held(resv(&c, 0)), EPERM);
	ASSERT(!dma_resv_trylock(resv(&c, 0)));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	ASSERT(!dma_resv_is_locked(resv(&c, 0)));
	ASSERT(dma_resv_trylock(resv(&c, 0)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_the_lock_and_the_memory_are_two_things)
{
	struct cast c;

	cast_begin(&c);
	ASSERT_OK(dma_resv_lock(resv(&c, 0), NULL));
	ASSERT_OK(remote_call(&c.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_what_a_context_has_is_EALREADY)
{
	struct cast c;

	cast_begin(&c);
	dmabuf_ww_acquire_init(&c.ctx, dma_resv_ww_class());
	ASSERT_OK(dma_resv_lock(resv(&c, 0), &c.ctx));
	ASSERT(dma_resv_locking_ctx(resv(&c, 0)) == &c.ctx);
	ASSERT_ERR(dma_resv_lock(resv(&c, 0), &c.ctx), EALREADY);
	ASSERT_ERR(dma_resv_lock_interruptible(resv(&c, 0), &c.ctx), EALREADY);
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&resv(&c, 0)->lock, &c.ctx), 0);
	ASSERT_ERR(dma_resv_lock_slow(resv(&c, 1), &c.ctx), EINVAL);
	ASSERT_ERR(dmabuf_ww_acquire_fini(&c.ctx), EBUSY);
	ASSERT_OK(dmabuf_ww_acquire_done(&c.ctx));
	ASSERT_ERR(dma_resv_lock(resv(&c, 1), &c.ctx), EINVAL);
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(dmabuf_ww_acquire_fini(&c.ctx));
	ASSERT(!dma_resv_locking_ctx(resv(&c, 0)));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_who_would_wait_for_himself_is_told)
{
	struct cast c;

	cast_begin(&c);
	ASSERT_OK(dma_resv_lock(resv(&c, 0), NULL));
	ASSERT_ERR(dma_resv_lock(resv(&c, 0), NULL), EDEADLK);
	ASSERT(!dma_resv_trylock(resv(&c, 0)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_wait_die_the_younger_gives_way_at_once)
{
	struct cast c;

	cross(&c, false, false);
	ASSERT_ERR(dma_resv_lock(resv(&c, 0), &c.ctx), EDEADLK);
	ASSERT_ERR(dma_resv_lock_interruptible(resv(&c, 0), &c.ctx), EDEADLK);
	ASSERT_EQ(accesses(c.b[0], 0, true, DMA_BUF_ACCESS_WAITING), 0);
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&resv(&c, 0)->lock, &c.ctx), 0);
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	/* The older one goes on and ends, and the slow path gets what was contended. */
	ASSERT_OK(remote_call(&c.remote, ORDER_LOCK, 1, 0));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 1, 0));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	ASSERT_OK(dma_resv_lock_slow(resv(&c, 0), &c.ctx));
	ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT_OK(dmabuf_ww_acquire_fini(&c.ctx));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_wait_die_the_older_waits)
{
	struct cast c;

	cross(&c, false, false);
	remote_send(&c.remote, (struct command){ ORDER_LOCK, 1, 0, 0 });
	remote_waits(&c.remote, c.b[1], true);
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT_OK(remote_answer(&c.remote));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 1, 0));
	ASSERT_OK(dmabuf_ww_acquire_fini(&c.ctx));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_who_holds_nothing_waits_whatever_its_age)
{
	struct cast c;

	cross(&c, false, false);
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	/* The younger one has 0, the older one comes; then the other way round. */
	ASSERT_OK(dma_resv_lock(resv(&c, 0), &c.ctx));
	remote_send(&c.remote, (struct command){ ORDER_LOCK_SLOW, 0, 0, 0 });
	remote_waits(&c.remote, c.b[0], true);
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(remote_answer(&c.remote));
	remote_send(&c.remote, (struct command){ ORDER_UNLOCK, 0, 0, 0 });
	ASSERT_OK(dma_resv_lock_slow(resv(&c, 0), &c.ctx));
	ASSERT_OK(remote_answer(&c.remote));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_wound_wait_the_younger_that_sleeps_is_woken_in_its_process)
{
	struct cast c;

	cross(&c, true, true);
	/* The remote, younger, has 1 and waits for 0; we wound it from 1. */
	remote_send(&c.remote, (struct command){ ORDER_LOCK, 0, 0, 0 });
	remote_waits(&c.remote, c.b[0], true);
	ASSERT(!remote_answered(&c.remote));
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&resv(&c, 1)->lock, &c.ctx), 0);
	ASSERT(!remote_answered(&c.remote));
	{
		pid_t helper = fork();

		/* It gives back when it is told, which nobody does while we wait in lock. */
		if (!helper) {
			long ret = remote_answer(&c.remote);

			if (ret == -EDEADLK)
				ret = remote_call(&c.remote, ORDER_UNLOCK, 1, 0);
			_exit(ret ? 1 : 0);
		}
		ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
		ASSERT_EQ(reap(helper), 0);
	}
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	/* Having given back all, it is wounded no more. */
	ASSERT_OK(remote_call(&c.remote, ORDER_LOCK_SLOW, 0, 0));
	ASSERT_OK(remote_call(&c.remote, ORDER_LOCK, 1, 0));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 1, 0));
	remote_end(&c.remote);
	cast_end(&c);
}

static void *take_first(void *arg)
{
	struct cast *c = arg;

	/* The older one's go from a thread of its own, so that we can watch. */
	return (void *)(intptr_t)dma_resv_lock(resv(c, 1), &c->ctx);
}

TEST(E1_wound_wait_the_younger_is_told_at_its_next_wait)
{
	pthread_t thread;
	struct cast c;
	void *ret;

	cast_begin(&c);
	dmabuf_ww_acquire_init(&c.ctx, &wound_wait);
	ASSERT_OK(remote_call(&c.remote, ORDER_BEGIN, 0, 1));
	ASSERT_OK(dma_resv_lock(resv(&c, 0), &c.ctx));
	ASSERT_OK(remote_call(&c.remote, ORDER_LOCK, 1, 0));
	/* Wounded while it does something else, it may keep what it has, */
	thread = thread_start(take_first, &c);
	{
		struct waiting w = { c.b[1], getpid(), true };

		ASSERT(eventually(is_waiting, &w, 20000));
	}
	/* but it does not wait for more. */
	ASSERT_ERR(remote_call(&c.remote, ORDER_LOCK, 0, 0), EDEADLK);
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 1, 0));
	ASSERT_EQ(pthread_join(thread, &ret), 0);
	ASSERT_EQ((intptr_t)ret, 0);
	/* The lock is the context's, whichever thread took it. */
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	remote_end(&c.remote);
	cast_end(&c);
}

static void beside_plain(struct dmabuf_ww_class *kind)
{
	struct cast c;

	cast_begin(&c);
	dmabuf_ww_acquire_init(&c.ctx, kind);
	ASSERT_OK(remote_call(&c.remote, ORDER_LOCK_PLAIN, 0, 0));
	ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
	ASSERT_ERR(dma_resv_lock(resv(&c, 0), &c.ctx), EDEADLK);
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	remote_send(&c.remote, (struct command){ ORDER_UNLOCK, 0, 0, 0 });
	ASSERT_OK(dma_resv_lock_slow(resv(&c, 0), &c.ctx));
	ASSERT_OK(remote_answer(&c.remote));
	/* Behind it a plain one waits its turn. */
	remote_send(&c.remote, (struct command){ ORDER_LOCK_PLAIN, 0, 0, 0 });
	remote_waits(&c.remote, c.b[0], true);
	ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(remote_answer(&c.remote));
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT_OK(dmabuf_ww_acquire_fini(&c.ctx));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_a_context_that_holds_something_does_not_wait_behind_a_plain_lock)
{
	beside_plain(dma_resv_ww_class());
	beside_plain(&wound_wait);
}

static void on_signal(int number)
{
	(void)number;
}

TEST(E1_an_interruptible_wait_ends_with_a_signal)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct cast c;

	/* Inherited by the remote. */
	sigaction(SIGUSR1, &action, NULL);
	cast_begin(&c);
	ASSERT_OK(dma_resv_lock(resv(&c, 0), NULL));
	ASSERT_OK(remote_call(&c.remote, ORDER_BEGIN, 0, 0));
	remote_send(&c.remote, (struct command){ ORDER_LOCK_INTR, 0, 0, 0 });
	remote_waits(&c.remote, c.b[0], true);
	while (!remote_answered(&c.remote)) {
		kill(c.remote.pid, SIGUSR1);
		usleep(1000);
	}
	ASSERT_ERR(remote_answer(&c.remote), EINTR);
	/* It left the queue. */
	ASSERT_EQ(accesses(c.b[0], 0, true, DMA_BUF_ACCESS_WAITING), 0);
	/* Others take no notice. */
	remote_send(&c.remote, (struct command){ ORDER_LOCK_SLOW, 0, 0, 0 });
	remote_waits(&c.remote, c.b[0], true);
	kill(c.remote.pid, SIGUSR1);
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(remote_answer(&c.remote));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_the_lock_of_the_dead_is_had_by_the_next_one)
{
	struct cast c;

	cross(&c, false, false);
	remote_send(&c.remote, (struct command){ ORDER_LOCK, 1, 0, 0 });
	remote_waits(&c.remote, c.b[1], true);
	remote_kill(&c.remote);
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	/* No content is torn: a lock of the object writes nothing. */
	ASSERT_OK(dma_resv_lock_slow(resv(&c, 0), &c.ctx));
	ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT_OK(dmabuf_ww_acquire_fini(&c.ctx));
	ASSERT_EQ(accesses(c.b[0], 0, true, DMA_BUF_ACCESS_WAITING), 0);
	ASSERT_EQ(accesses(c.b[1], 0, true, DMA_BUF_ACCESS_TORN), 0);
	cast_end(&c);
}

TEST(E1_a_stopped_holder_loses_the_lock_to_its_lease_and_is_told)
{
	struct cast c;

	cast_begin(&c);
	ASSERT_OK(dma_buf_set_max_lease(c.b[0], 50));
	ASSERT_OK(remote_call(&c.remote, ORDER_LOCK_PLAIN, 0, 0));
	kill(c.remote.pid, SIGSTOP);
	ASSERT_OK(dma_resv_lock(resv(&c, 0), NULL));
	kill(c.remote.pid, SIGCONT);
	ASSERT_ERR(remote_call(&c.remote, ORDER_UNLOCK, 0, 0), ETIMEDOUT);
	/* The late one changed nothing. */
	ASSERT_OK(dma_resv_assert_held(resv(&c, 0)));
	ASSERT_EQ(remote_call(&c.remote, ORDER_TRYLOCK, 0, 0), 0);
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_EQ(remote_call(&c.remote, ORDER_TRYLOCK, 0, 0), 1);
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_a_context_takes_buffers_and_private_objects_together)
{
	struct dma_resv own;
	struct cast c;

	dma_resv_init(&own);
	cross(&c, false, false);
	ASSERT_OK(dma_resv_lock(&own, &c.ctx));
	ASSERT_EQ(c.ctx.acquired, 2);
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	/* What it has of its own counts as well. */
	ASSERT_ERR(dma_resv_lock(resv(&c, 0), &c.ctx), EDEADLK);
	ASSERT_OK(dma_resv_unlock(&own));
	ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	ASSERT_OK(dma_resv_lock_slow(resv(&c, 0), &c.ctx));
	ASSERT_OK(dma_resv_lock(&own, &c.ctx));
	ASSERT_OK(dma_resv_unlock(&own));
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(dmabuf_ww_acquire_fini(&c.ctx));
	dma_resv_fini(&own);
	remote_end(&c.remote);
	cast_end(&c);
}

static void *give_way(void *arg)
{
	struct cast *c = arg;
	struct dmabuf_ww_acquire_ctx younger;
	long ret;

	dmabuf_ww_acquire_init(&younger, &wound_wait);
	ASSERT_OK(dma_resv_lock(resv(c, 0), &younger));
	ret = dma_resv_lock(resv(c, 1), &younger);
	ASSERT_OK(dma_resv_unlock(resv(c, 0)));
	ASSERT_OK(dmabuf_ww_acquire_fini(&younger));
	return (void *)ret;
}

TEST(E1_contexts_of_one_process_have_the_same_rules)
{
	struct waiting w;
	pthread_t thread;
	struct cast c;
	void *ret;

	cast_begin(&c);
	dmabuf_ww_acquire_init(&c.ctx, &wound_wait);
	ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
	thread = thread_start(give_way, &c);
	w = (struct waiting){ c.b[1], getpid(), true };
	ASSERT(eventually(is_waiting, &w, 20000));
	ASSERT_OK(dma_resv_lock(resv(&c, 0), &c.ctx));
	ASSERT_EQ(pthread_join(thread, &ret), 0);
	ASSERT_EQ((intptr_t)ret, -EDEADLK);
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	remote_end(&c.remote);
	cast_end(&c);
}

TEST(E1_what_a_context_asked_for_often_enough_it_gets_in_order)
{
	struct cast c;
	unsigned int i;

	cast_begin(&c);
	dmabuf_ww_acquire_init(&c.ctx, dma_resv_ww_class());
	/* Somebody who is always there first, and of any age it likes. */
	remote_send(&c.remote, (struct command){ ORDER_BEGIN, 0, 0, 1 });
	ASSERT_OK(remote_answer(&c.remote));
	for (i = 0; i < 4; i++) {
		ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
		ASSERT_OK(remote_call(&c.remote, ORDER_LOCK, 0, 0));
		ASSERT_ERR(dma_resv_lock(resv(&c, 0), &c.ctx), EDEADLK);
		ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
		ASSERT_OK(remote_call(&c.remote, ORDER_UNLOCK, 0, 0));
	}
	/* One of them, and both are there. */
	ASSERT_OK(dma_resv_lock_slow(resv(&c, 1), &c.ctx));
	ASSERT_EQ(remote_call(&c.remote, ORDER_TRYLOCK, 0, 0), 0);
	ASSERT_OK(dma_resv_lock(resv(&c, 0), &c.ctx));
	ASSERT_ERR(dma_resv_lock(resv(&c, 0), &c.ctx), EALREADY);
	ASSERT_OK(dma_resv_unlock(resv(&c, 0)));
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	/* What was not asked for goes with the last of the others. */
	ASSERT_OK(dma_resv_lock(resv(&c, 1), &c.ctx));
	ASSERT_OK(dma_resv_unlock(resv(&c, 1)));
	ASSERT(!dma_resv_is_locked(resv(&c, 0)));
	ASSERT_OK(dmabuf_ww_acquire_fini(&c.ctx));
	remote_end(&c.remote);
	cast_end(&c);
}

static int locks_as_child(void *arg)
{
	struct dma_buf *dmabuf = arg;

	ASSERT_ERR(dma_resv_lock(dmabuf->resv, NULL), ECHILD);
	ASSERT_ERR(dma_resv_unlock(dmabuf->resv), ECHILD);
	ASSERT(!dma_resv_trylock(dmabuf->resv));
	dma_buf_put(dmabuf);
	return 0;
}

TEST(E1_a_forked_child_has_none_of_it)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);

	ASSERT_OK(dma_resv_lock(dmabuf->resv, NULL));
	ASSERT_EQ(reap(spawn(locks_as_child, dmabuf)), 0);
	ASSERT_OK(dma_resv_unlock(dmabuf->resv));
	dma_buf_put(dmabuf);
}
