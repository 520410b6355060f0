// SPDX-License-Identifier: MIT
/*
 * Fences of the kernel's and holds of ours that end by death, by lease, by a signal, or not in
 * time; skipped where there is no vgem.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "kernel/dmabuf.h"
#include "kernel/fence.h"
#include "vgem-world.h"

struct scene {
	struct world w;
	struct gate here, done;
	atomic_uint *ticks;
	unsigned int lease_ms;
};

static void scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	world_begin(&s->w);
	gate_init(&s->here);
	gate_init(&s->done);
	s->ticks = mmap(NULL, sizeof(*s->ticks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	ASSERT(s->ticks != MAP_FAILED);
}

static void scene_end(struct scene *s)
{
	munmap(s->ticks, sizeof(*s->ticks));
	gate_close(&s->here);
	gate_close(&s->done);
	world_end(&s->w);
}

static void killed(pid_t pid)
{
	kill(pid, SIGKILL);
	ASSERT_EQ(reap(pid), 128 + SIGKILL);
}

/* A driver's client: its fence is on the buffer, and ends with it. */
static int writes_for_ever(void *arg)
{
	struct scene *s = arg;

	ASSERT(kernel_fence_begin(s->w.fd, true));
	gate_signal(&s->here);
	pause();
	_exit(1);
}

static int waits_for_lock(void *arg)
{
	struct scene *s = arg;
	struct dma_buf *buf = dma_buf_get(s->w.fd);

	ASSERT(buf);
	gate_signal(&s->done);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	return 0;
}

static int waits_for_access(void *arg)
{
	struct scene *s = arg;
	struct dma_buf *buf = dma_buf_get(s->w.fd);

	ASSERT(buf);
	gate_signal(&s->done);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	dma_buf_put(buf);
	return 0;
}

TEST(H1_the_death_of_who_made_a_fence_ends_what_waits_for_it)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "waits");
	pid_t owner, lock, access;
	struct dma_buf *buf;
	struct scene s;
	int grant;

	scene_begin(&s);
	owner = spawn(writes_for_ever, &s);
	gate_wait(&s.here);
	buf = dma_buf_get(s.w.fd);
	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_R));
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	grant = dmabuf_sync_fd(sync);
	ASSERT_OK(dmabuf_sync_set_claim(sync, 20000));
	ASSERT_OK(dmabuf_sync_lock_async(sync, 20000, NULL));
	lock = spawn(waits_for_lock, &s);
	access = spawn(waits_for_access, &s);
	gate_wait(&s.done);
	gate_wait(&s.done);
	ASSERT(!ready(grant, POLLIN));
	killed(owner);
	ASSERT(eventually(is_readable, &grant, 20000));
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT_EQ(reap(lock), 0);
	ASSERT_EQ(reap(access), 0);
	dmabuf_sync_fini(sync);
	dma_buf_put(buf);
	scene_end(&s);
}

static int holds_for_ever(void *arg)
{
	struct scene *s = arg;
	struct dma_buf *buf = dma_buf_get(s->w.fd);

	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	gate_signal(&s->here);
	pause();
	_exit(1);
}

/* As a driver, or a program that knows nothing of this library, waits. */
static int polls(void *arg)
{
	struct scene *s = arg;
	int file = kernel_export_sync_file(s->w.fd, false);
	struct pollfd buffer = { .fd = s->w.fd, .events = POLLIN };
	struct pollfd fence = { .fd = file, .events = POLLIN };

	ASSERT_OK(file);
	ASSERT_EQ(poll(&fence, 1, 0), 0);
	ASSERT_EQ(poll(&buffer, 1, 0), 0);
	gate_signal(&s->done);
	ASSERT_EQ(poll(&buffer, 1, 20000), 1);
	ASSERT_EQ(poll(&fence, 1, 20000), 1);
	close(file);
	return 0;
}

TEST(H1_the_death_of_who_holds_ends_what_polls)
{
	pid_t holder, poller;
	struct scene s;

	scene_begin(&s);
	holder = spawn(holds_for_ever, &s);
	gate_wait(&s.here);
	poller = spawn(polls, &s);
	gate_wait(&s.done);
	killed(holder);
	ASSERT(ready(s.w.fd, POLLIN));
	ASSERT_EQ(reap(poller), 0);
	scene_end(&s);
}

/* Its lease is over before it comes back: it is told so, and only then is the kernel, too. */
static int comes_late(void *arg)
{
	struct scene *s = arg;
	struct dma_buf *buf = dma_buf_get(s->w.fd);
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "late");

	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_W));
	ASSERT_OK(dmabuf_sync_set_lease(sync, s->lease_ms));
	ASSERT_OK(dmabuf_sync_lock(sync));
	gate_signal(&s->here);
	gate_wait(&s->done);
	ASSERT_ERR(dmabuf_sync_unlock(sync), ETIMEDOUT);
	ASSERT(ready(s->w.fd, POLLIN));
	dmabuf_sync_fini(sync);
	dma_buf_put(buf);
	return 0;
}

TEST(H1_a_hold_that_lost_its_lease_keeps_the_kernel_until_it_is_noticed)
{
	struct dma_buf *buf;
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "next");
	struct scene s;
	pid_t late;

	scene_begin(&s);
	s.lease_ms = 20;
	late = spawn(comes_late, &s);
	gate_wait(&s.here);
	buf = dma_buf_get(s.w.fd);
	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_W));
	/* Ours, were it not for the kernel's fence of the late one. */
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 200), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "vgem");
	ASSERT(!dmabuf_sync_is_locked(sync));
	gate_signal(&s.done);
	ASSERT_EQ(reap(late), 0);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 20000), EOWNERDEAD);
	ASSERT(!ready(s.w.fd, POLLIN));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT(ready(s.w.fd, POLLIN));
	dmabuf_sync_fini(sync);
	dma_buf_put(buf);
	scene_end(&s);
}

static atomic_uint *handler_ticks;

static void tick(int signal)
{
	atomic_fetch_add(handler_ticks, 1);
}

static void begin_to_tick(struct scene *s)
{
	struct sigaction act = { .sa_handler = tick };
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } };

	handler_ticks = s->ticks;
	ASSERT_OK(sigaction(SIGALRM, &act, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &often, NULL));
}

static void stop_ticking(void)
{
	struct itimerval never = { 0 };

	ASSERT_OK(setitimer(ITIMER_REAL, &never, NULL));
}

static int accesses_under_signals(void *arg)
{
	struct scene *s = arg;
	struct dma_buf *buf = dma_buf_get(s->w.fd);

	ASSERT(buf);
	begin_to_tick(s);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	stop_ticking();
	dma_buf_put(buf);
	return 0;
}

static bool ticked(void *arg)
{
	return atomic_load((atomic_uint *)arg) > 20;
}

TEST(H1_signals_end_no_access_that_waits_for_a_fence)
{
	struct scene s;
	pid_t pid;

	scene_begin(&s);
	fence_begin(&s.w);
	pid = spawn(accesses_under_signals, &s);
	ASSERT(eventually(ticked, s.ticks, 20000));
	fence_end(&s.w);
	ASSERT_EQ(reap(pid), 0);
	scene_end(&s);
}

static int gives_up(void *arg)
{
	struct scene *s = arg;
	struct dma_buf *buf = dma_buf_get(s->w.fd);
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "gives up");

	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_W));
	begin_to_tick(s);
	ASSERT_ERR(dmabuf_sync_lock_interruptible(sync, 20000), EINTR);
	stop_ticking();
	ASSERT(!dmabuf_sync_is_locked(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(buf);
	return 0;
}

TEST(H1_a_signal_ends_a_lock_that_may_be_interrupted_while_it_waits_for_a_fence)
{
	struct dma_buf *buf;
	struct scene s;

	scene_begin(&s);
	fence_begin(&s.w);
	buf = dma_buf_get(s.w.fd);
	ASSERT(buf);
	ASSERT_EQ(reap(spawn(gives_up, &s)), 0);
	/* It left nothing behind, neither ours nor the kernel's. */
	fence_end(&s.w);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT(ready(s.w.fd, POLLOUT));
	dma_buf_put(buf);
	scene_end(&s);
}

TEST(H1_a_lock_of_several_that_times_out_at_a_fence_keeps_none_of_them)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "several");
	struct dma_buf *fenced, *free, *ordinary = dma_buf_alloc("ordinary", SIZE, O_RDWR);
	struct world a, b;

	world_begin(&a);
	world_begin(&b);
	fenced = dma_buf_get(a.fd);
	free = dma_buf_get(b.fd);
	ASSERT_OK(dmabuf_sync_get(sync, fenced, DMA_BUF_ACCESS_W));
	ASSERT_OK(dmabuf_sync_get(sync, free, DMA_BUF_ACCESS_W));
	ASSERT_OK(dmabuf_sync_get(sync, ordinary, DMA_BUF_ACCESS_W));
	fence_begin(&a);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 20), ETIMEDOUT);
	ASSERT(ready(b.fd, POLLOUT));
	ASSERT_OK(dmabuf_sync_single_lock(free, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(free));
	ASSERT_OK(dmabuf_sync_single_lock(ordinary, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(ordinary));
	fence_end(&a);
	ASSERT_OK(dmabuf_sync_lock_timeout(sync, 20000));
	ASSERT(!ready(a.fd, POLLIN));
	ASSERT(!ready(b.fd, POLLIN));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT(ready(a.fd, POLLOUT));
	ASSERT(ready(b.fd, POLLOUT));
	dmabuf_sync_fini(sync);
	dma_buf_put(fenced);
	dma_buf_put(free);
	dma_buf_put(ordinary);
	world_end(&a);
	world_end(&b);
}
