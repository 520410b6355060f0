// SPDX-License-Identifier: MIT
/* A plan that is tried: memory is taken, everybody's table made, and all given back (row F7). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "error.h"
#include "export.h"
#include "negotiate.h"
#include "page-frames.h"
#include "sg-table.h"
#include "text.h"

/* One buffer, mapped as a plan says. */
struct trial {
	const struct negotiation_question *question;
	const struct dma_buf_negotiation *answer;
	struct dma_buf_plan_participant promised[DMA_BUF_MAX_PARTICIPANTS];
	char *base; /* of the address range */
	size_t reserved;
	char *memory;
	size_t length;
	struct page_hold hold;
	bool held;
};

static int map_failed(int err)
{
	return dmabuf_fail(err, "a plan's memory cannot be mapped: %s", strerror(err));
}

/* Where the heap says that memory begins. */
static int map_memory(struct trial *t, int fd, const struct dma_buf_alternative *a)
{
	uint64_t alignment = t->question->heaps[a->heap].alignment;

	if (t->answer->size > a->size)
		return dmabuf_fail(EINVAL, "test plan: the plan is no plan");
	t->length = a->size;
	t->reserved = a->size + alignment;
	t->base = mmap(NULL, t->reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);
	if (t->base == MAP_FAILED) {
		t->base = NULL;
		return map_failed(errno);
	}
	t->memory = t->base + (-(uintptr_t)t->base & (alignment - 1));
	if (mmap(t->memory, t->length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return map_failed(errno);
	return 0;
}

static int hold_pages(struct trial *t)
{
	int err = t->held ? 0 : page_pin(&t->hold, t->memory, t->length);

	/* What is locked is unlocked when it is unmapped. */
	if (err && mlock(t->memory, t->length) < 0)
		return dmabuf_fail(errno == EPERM ? EPERM : ENOMEM,
				   "locking %zu bytes failed: %s (RLIMIT_MEMLOCK?)", t->length,
				   strerror(errno));
	t->held = true;
	return 0;
}

/* What participant @i's table obeys: all limits, or its own. */
static void limits_of(const struct trial *t, unsigned int i,
		      struct dma_buf_device_parameters *limits)
{
	const struct dma_buf_device_parameters *merged = &t->answer->merged;

	*limits = *t->question->participants[i];
	if (t->question->problem.own_tables)
		return;
	limits->max_segment_size = merged->max_segment_size;
	limits->max_segment_count = merged->max_segment_count;
	limits->segment_boundary_mask = merged->segment_boundary_mask;
	limits->address_alignment = merged->address_alignment;
	limits->length_granularity = merged->length_granularity;
}

/* A picture's lines are the device's own matter. */
static int check_promise(const struct trial *t, unsigned int i,
			 const struct dma_buf_sg_table *table)
{
	bool lines = t->question->participants[i]->line_by_line && t->question->request.plane_count;

	if (lines || table->nents <= t->promised[i].segments)
		return 0;
	return dmabuf_fail(E2BIG, "%u segments, the plan says at most %" PRIu64, table->nents,
			   t->promised[i].segments);
}

static int try_device(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
		      enum dma_data_direction direction)
{
	int err;

	if (!dev || !dev->ops->map_sg)
		return 0;
	err = dev->ops->map_sg(dev, table, direction);
	if (!err && dev->ops->unmap_sg)
		dev->ops->unmap_sg(dev, table, direction);
	return err;
}

static int try_table(struct trial *t, unsigned int i)
{
	const struct dma_buf_participant *p = &t->question->request.participants[i];
	struct dma_buf_device_parameters limits;
	struct dma_buf_sg_table table;
	uint64_t size = t->answer->size;
	int err = 0;

	limits_of(t, i, &limits);
	if (limits.physical)
		err = hold_pages(t);
	if (!err)
		err = limits.physical ? sg_table_build_physical(&table, t->memory, size, &limits)
				      : sg_table_build(&table, t->memory, size, &limits);
	if (err)
		return err;
	err = check_promise(t, i, &table);
	if (!err)
		err = try_device(p->device, &table, p->direction);
	dma_buf_sg_free_table(&table);
	return err;
}

static int try_participant(struct trial *t, unsigned int i)
{
	unsigned long failures = dmabuf_failures();
	int err = try_table(t, i);
	char why[512];

	if (!err)
		return 0;
	text_copy(why, sizeof(why),
		  failures != dmabuf_failures() ? dmabuf_last_error() : strerror(-err));
	return dmabuf_fail(-err, "the plan does not work for %s: %s", t->question->names[i], why);
}

static int try_all(struct trial *t, int fd, uint32_t alternative)
{
	const struct dma_buf_alternative *a = &t->answer->alternatives[alternative];
	int err = map_memory(t, fd, a);

	constraints_plan_for(&t->question->problem, a->heap, t->promised);
	for (unsigned int i = 0; i < t->question->problem.count && !err; i++)
		err = try_participant(t, i);
	if (t->hold.pinned)
		page_unpin(&t->hold);
	if (t->base)
		munmap(t->base, t->reserved);
	return err;
}

DMABUF_PUBLIC int dma_buf_test_plan(const struct dma_buf_request *request,
				    const struct dma_buf_negotiation *answer)
{
	struct dma_buf_allocation allocation = { .size = sizeof(allocation) };
	struct trial *t = NULL;
	struct negotiation_question *q;
	int err, fd = -1;

	if (!answer || answer->struct_size != sizeof(*answer))
		return dmabuf_fail(EINVAL, "test plan: there is no plan");
	q = negotiation_ask(request, &err);
	if (!q)
		return err;
	if (!negotiation_belongs(&q->problem, answer) || !answer->size)
		err = dmabuf_fail(EINVAL, "test plan: the plan does not belong to this request");
	if (!err) {
		t = calloc(1, sizeof(*t));
		err = t ? 0 : dmabuf_fail(ENOMEM, "no memory to try a plan");
	}
	if (!err) {
		fd = dma_buf_negotiation_alloc(answer, "dmabuf-trial", &allocation);
		err = fd < 0 ? fd : 0;
	}
	if (!err) {
		t->question = q;
		t->answer = answer;
		err = try_all(t, fd, allocation.alternative);
		close(fd);
	}
	free(t);
	free(q);
	return err;
}
