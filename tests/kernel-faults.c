// SPDX-License-Identifier: MIT
/*
 * Kernel dma-bufs where something runs out, dies or is not allowed. Real dma-bufs where this kernel
 * has them for us, else pretended ones; see fake-kernel.h.
 */
#include <dmabuf.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake-kernel.h"
#include "few-fds.h"
#include "harness/harness.h"
#include "kernel/marks.h"

#define SIZE 8192

static void check_lock(struct dma_buf *buf)
{
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
}

struct adopter {
	int fd;
	struct dma_buf *got;
};

static int adopt(void *arg)
{
	struct adopter *a = arg;

	a->got = dma_buf_get(a->fd);
	return a->got ? 0 : -errno;
}

TEST(A3_descriptors_that_run_out_while_one_adopts_are_told)
{
	struct adopter a = { .fd = kernel_dmabuf(SIZE) };
	struct kernel_mark marks[KERNEL_MARKS_MAX];

	ASSERT(few_fds(adopt, &a) > 3);
	check_lock(a.got);
	dma_buf_put(a.got);
	ASSERT_EQ(kernel_marks(a.fd, marks), 0);
	close(a.fd);
}

struct other {
	int fd;
	struct gate here, done;
};

static int hold(void *arg)
{
	struct other *o = arg;
	struct dma_buf *buf = dma_buf_get(o->fd);

	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	gate_signal(&o->here);
	gate_wait(&o->done);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	close(o->fd);
	return 0;
}

/* Somebody has the state, and hands it out: what runs out is not taken for his silence. */
TEST(A3_descriptors_that_run_out_while_a_state_comes_are_told_and_not_waited_for)
{
	struct other o = { .fd = kernel_dmabuf(SIZE) };
	struct adopter a = { .fd = o.fd };
	pid_t pid;

	gate_init(&o.here);
	gate_init(&o.done);
	pid = spawn(hold, &o);
	gate_wait(&o.here);
	ASSERT(few_fds(adopt, &a) > 3);
	ASSERT_ERR(dmabuf_sync_single_lock(a.got, DMA_BUF_ACCESS_W, false), EBUSY);
	gate_signal(&o.done);
	ASSERT_EQ(reap(pid), 0);
	check_lock(a.got);
	dma_buf_put(a.got);
	gate_close(&o.here);
	gate_close(&o.done);
	close(o.fd);
}
