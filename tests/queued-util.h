/* SPDX-License-Identifier: MIT */
/* Jobs of a block device and of functions, for the tests of queued work. */
#ifndef DMABUF_TEST_QUEUED_UTIL_H
#define DMABUF_TEST_QUEUED_UTIL_H

#include <dmabuf.h>

#include <pthread.h>
#include <stdatomic.h>

#include "block-util.h"
#include "fence.h"

#define SIZE (64 * 1024)

static inline long wait_for(struct dma_fence *fence)
{
	long ret = dma_fence_wait_timeout(fence, false, WAIT_MS);

	if (ret <= 0)
		FAIL("the fence is not signalled: %ld", ret);
	return ret;
}

static inline int status_of(struct dma_fence *fence)
{
	wait_for(fence);
	return dma_fence_get_status(fence);
}

static inline struct dma_fence *queue_block(struct rig *r, enum dma_data_direction direction,
					    uint64_t length, uint64_t file_offset,
					    struct dma_fence *after)
{
	struct dma_buf_block_job job = { .struct_size = sizeof(job),
					 .direction = direction,
					 .length = length,
					 .file_offset = file_offset,
					 .after = &after,
					 .num_after = after ? 1 : 0 };
	struct dma_fence *fence;

	if (dma_buf_block_queue(r->attach, r->table, &job, &fence))
		FAIL("queue: %s", dmabuf_last_error());
	return fence;
}

struct stage {
	struct rig *rig;
	atomic_int calls;
	int result;
	pthread_t thread;
	struct gate *began, *go_on;
};

static inline int run_stage(void *data)
{
	struct stage *s = data;
	size_t i;

	s->thread = pthread_self();
	for (i = 0; s->rig && i < s->rig->size; i++)
		s->rig->cpu[i] = (unsigned char)~s->rig->cpu[i];
	if (s->began)
		gate_signal(s->began);
	if (s->go_on)
		gate_wait(s->go_on);
	atomic_fetch_add(&s->calls, 1);
	return s->result;
}

static inline struct dma_fence *queue_stage(struct stage *s, struct dma_buf *dmabuf,
					    unsigned int type, struct dma_fence *after)
{
	struct dmabuf_work_buffer buffer = { .dmabuf = dmabuf, .type = type };
	struct dmabuf_work work = { .struct_size = sizeof(work),
				    .name = "stage",
				    .func = run_stage,
				    .data = s,
				    .buffers = &buffer,
				    .num_buffers = 1,
				    .after = &after,
				    .num_after = after ? 1 : 0 };
	struct dma_fence *fence;

	if (dmabuf_queue_work(&work, &fence))
		FAIL("queue: %s", dmabuf_last_error());
	return fence;
}

static const struct way any = { "the best there is", DMA_BUF_BLOCK_AUTO, false };

static inline void rig_with_file(struct rig *r, unsigned int depth)
{
	int fd = scratch_file(O_RDWR);

	ASSERT_OK(ftruncate(fd, SIZE));
	ASSERT(rig_open_depth(r, fd, &any, SIZE, depth));
	close(fd);
}

#endif
