// SPDX-License-Identifier: MIT
/*
 * The front of a block device: mapping, submitting, reaping. One lock guards lists and engine;
 * nobody sleeps with it held.
 */
#include "block.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attachment.h"
#include "check/rules.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "process.h"

void block_list_init(struct block_list *list)
{
	list->first = NULL;
	list->tail = &list->first;
}

void block_list_add(struct block_list *list, struct block_transfer *t)
{
	t->next = NULL;
	*list->tail = t;
	list->tail = &t->next;
}

struct block_transfer *block_list_take(struct block_list *list)
{
	struct block_transfer *t = list->first;

	if (!t)
		return NULL;
	list->first = t->next;
	if (!list->first)
		list->tail = &list->first;
	return t;
}

int64_t block_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct block_device *block_of(const struct dma_buf_device *dev)
{
	if (!dev || dev->ops != &block_map_ops)
		return dmabuf_fail_ptr(EINVAL, "device %s is not a block device",
				       dev ? dev->name : "NULL");
	return dev->priv;
}

static int check_owner(const struct block_device *b)
{
	if (process_cookie() != b->owner)
		return dmabuf_fail(ECHILD, "block device: opened by the parent before fork(); open "
					   "it again in this process");
	return 0;
}

/* Mapping */

static int block_map_sg(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			enum dma_data_direction direction)
{
	struct block_device *b = dev->priv;
	struct block_region *region;
	int err = check_owner(b);

	if (err)
		return err;
	region = calloc(1, sizeof(*region));
	if (!region)
		return dmabuf_fail(ENOMEM, "no memory to map a buffer for %s", dev->name);
	region->sgl = table->sgl;
	region->nents = table->nents;
	region->length = dma_buf_sg_length(table);
	region->slot = -1;
	region->guard = -1;
	pthread_mutex_lock(&b->lock);
	err = b->engine->map(b, region);
	if (!err) {
		region->next = b->regions;
		b->regions = region;
	}
	pthread_mutex_unlock(&b->lock);
	if (err)
		free(region);
	return err;
}

static struct block_region **find_region(struct block_device *b,
					 const struct dma_buf_scatterlist *sgl)
{
	struct block_region **link = &b->regions;

	while (*link && (*link)->sgl != sgl)
		link = &(*link)->next;
	return link;
}

/* Memory must not change after this, so what is under way there is waited for. */
static void block_unmap_sg(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			   enum dma_data_direction direction)
{
	struct block_device *b = dev->priv;
	struct block_region **link, *region;
	struct block_queue *queue;
	bool idle = true;

	if (process_cookie() != b->owner)
		return;
	pthread_mutex_lock(&b->lock);
	queue = b->queue;
	pthread_mutex_unlock(&b->lock);
	if (queue)
		block_queue_cancel(queue, table->sgl);
	pthread_mutex_lock(&b->lock);
	region = *find_region(b, table->sgl);
	if (region)
		idle = block_drain(b, region, BLOCK_DRAIN_MS);
	/* The lock was given up meanwhile. */
	link = find_region(b, table->sgl);
	region = *link;
	if (region && idle) {
		*link = region->next;
		b->engine->unmap(b, region);
	}
	pthread_mutex_unlock(&b->lock);
	if (idle)
		free(region);
	else
		dmabuf_log(DMABUF_LOG_ERROR,
			   "%s: a transfer does not end; the disk may still change the buffer that "
			   "is being unmapped",
			   dev->name);
}

/* Whether a single transfer can do without is seen when it is submitted. */
static int block_zero_copy(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			   enum dma_data_direction direction)
{
	struct block_device *b = dev->priv;
	char words[256];

	if (atomic_load(&b->direct))
		return 0;
	block_direct_words(b, words, sizeof(words));
	return dmabuf_fail(EOPNOTSUPP, "it transfers through the %s", words);
}

const struct dma_buf_map_ops block_map_ops = {
	.map_sg = block_map_sg,
	.unmap_sg = block_unmap_sg,
	.zero_copy = block_zero_copy,
};

/* Transfers */

void block_transfer_free(struct block_device *b, struct block_transfer *t)
{
	t->job = NULL;
	t->next = b->unused;
	b->unused = t;
	if (b->jobs_starve)
		block_queue_kick(b->queue);
}

void block_finish(struct block_device *b, struct block_transfer *t)
{
	check_transfer_end(t->check);
	t->region->under_way--;
	t->region = NULL;
	t->under_way = false;
	b->under_way--;
	block_plan_free(t);
	if (t->job) {
		b->jobs_under_way--;
		block_list_add(&b->jobs_done, t);
		block_queue_kick(b->queue);
	} else {
		block_list_add(&b->done, t);
	}
	pthread_cond_broadcast(&b->settled);
}

/* Keep the eventfd as the done list is, so that whoever polls in reap wakes up for it. */
void block_signal_done(struct block_device *b)
{
	bool done = b->done.first;
	uint64_t count = 1;
	ssize_t n;

	if (done == b->done_signalled)
		return;
	do {
		n = done ? write(b->done_fd, &count, sizeof(count))
			 : read(b->done_fd, &count, sizeof(count));
	} while (n < 0 && errno == EINTR);
	b->done_signalled = done;
}

static bool is_idle(const struct block_device *b, const struct block_region *region)
{
	return !(region ? region->under_way : b->under_way);
}

bool block_drain(struct block_device *b, const struct block_region *region, int ms)
{
	int64_t left, end = block_now_ms() + ms;
	unsigned int i;

	for (i = 0; i < b->depth; i++)
		if (b->transfers[i].under_way && (!region || b->transfers[i].region == region))
			atomic_store(&b->transfers[i].cancelled, true);
	b->engine->collect(b);
	while (!is_idle(b, region)) {
		left = end - block_now_ms();
		if (left <= 0)
			break;
		b->engine->wait(b, (int)left);
	}
	block_signal_done(b);
	return is_idle(b, region);
}

static int check_transfer(const struct block_device *b, const struct dma_buf_attachment *attach,
			  const struct dma_buf_sg_table *table, enum dma_data_direction direction,
			  const struct block_transfer *t)
{
	const char *name = attach->dev->name;
	uint64_t size = dma_buf_sg_length(table);

	if (t->length > size || t->buffer_offset > size - t->length)
		return dmabuf_fail(EINVAL,
				   "%s: %" PRIu64 " bytes at %" PRIu64
				   " do not lie in a buffer of %" PRIu64,
				   name, t->length, t->buffer_offset, size);
	if (t->length > INT64_MAX || t->file_offset > INT64_MAX - t->length)
		return dmabuf_fail(EINVAL, "%s: file offset %" PRIu64 " is beyond what files have",
				   name, t->file_offset);
	if (direction == DMA_FROM_DEVICE ? !b->readable : !b->writable)
		return dmabuf_fail(EBADF, "%s: the file was not opened for %s", name,
				   direction == DMA_FROM_DEVICE ? "reading" : "writing");
	return 0;
}

static int would_copy(const struct block_device *b, const struct block_span *span)
{
	return dmabuf_fail(EOPNOTSUPP,
			   "the page cache would copy bytes %" PRIu64 " to %" PRIu64
			   " of the transfer, and nothing may be copied: without it memory is "
			   "aligned to %u bytes, the file's offsets to %u (written ones to %u)",
			   span->position, span->end, b->limits.memory_alignment,
			   b->limits.offset_alignment, b->limits.write_alignment);
}

int block_start(struct block_device *b, const struct dma_buf_scatterlist *sgl,
		const struct block_transfer *wanted, int device_fd)
{
	struct block_region *region = *find_region(b, sgl);
	struct block_transfer *t = b->unused;
	int err;

	if (!region)
		return dmabuf_fail(EINVAL, "the table was not mapped through the block device; its "
					   "exporter should use dma_buf_memory_map()");
	if (!t)
		return dmabuf_fail(EAGAIN,
				   "%u transfers are under way or not reaped yet, the most for "
				   "this device; reap first",
				   b->depth);
	/* Before the first request: from then on it is seen that a device is at work. */
	if (region->guard < 0) {
		err = b->engine->guard(b, region, device_fd);
		if (err)
			return err;
	}
	t->region = region;
	t->job = wanted->job;
	t->write = wanted->write;
	t->zero_copy = wanted->zero_copy;
	t->buffer_offset = wanted->buffer_offset;
	t->length = wanted->length;
	t->file_offset = wanted->file_offset;
	t->cookie = wanted->cookie;
	t->check = wanted->check;
	if (!block_plan(t, &b->limits,
			atomic_load(&b->direct) && !atomic_load(&region->unpinnable)))
		return dmabuf_fail(ENOMEM, "no memory for the pieces of a transfer");
	if (t->zero_copy && block_copied_span(t)) {
		err = would_copy(b, block_copied_span(t));
		block_plan_free(t);
		return err;
	}
	b->unused = t->next;
	t->under_way = true;
	region->under_way++;
	b->under_way++;
	b->jobs_under_way += t->job != NULL;
	err = b->engine->start(b, t);
	if (err) {
		region->under_way--;
		b->under_way--;
		b->jobs_under_way -= t->job != NULL;
		t->under_way = false;
		block_plan_free(t);
		block_transfer_free(b, t);
	}
	block_signal_done(b);
	return err;
}

int block_check_submit(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
		       enum dma_data_direction direction, struct block_transfer *wanted)
{
	struct block_device *b;
	int err;

	if (!attach || !table)
		return dmabuf_fail(EINVAL, "block transfer: attachment or table is NULL");
	if (direction != DMA_FROM_DEVICE && direction != DMA_TO_DEVICE)
		return dmabuf_fail(EINVAL,
				   "block transfer: direction %d is neither "
				   "DMA_FROM_DEVICE nor DMA_TO_DEVICE",
				   (int)direction);
	b = block_of(attach->dev);
	if (!b)
		return -EINVAL;
	err = check_owner(b);
	if (!err)
		err = attachment_check_mapped(attach, table, direction);
	if (!err)
		err = check_transfer(b, attach, table, direction, wanted);
	if (!err)
		wanted->zero_copy = attachment_zero_copy(attach, table);
	return err;
}

DMABUF_PUBLIC int dma_buf_block_submit(struct dma_buf_attachment *attach,
				       struct dma_buf_sg_table *table,
				       enum dma_data_direction direction, uint64_t buffer_offset,
				       uint64_t length, uint64_t file_offset, uint64_t cookie)
{
	struct block_transfer wanted = {
		.write = direction == DMA_TO_DEVICE,
		.buffer_offset = buffer_offset,
		.length = length,
		.file_offset = file_offset,
		.cookie = cookie,
	};
	int err = block_check_submit(attach, table, direction, &wanted), device_fd;
	struct block_device *b;

	if (err)
		return err;
	device_fd = buffer_device_fd(to_buffer(attach->dmabuf));
	if (device_fd < 0)
		return device_fd;
	b = attach->dev->priv;
	wanted.check = check_transfer_begin(attach, direction, buffer_offset, length);
	pthread_mutex_lock(&b->lock);
	err = block_start(b, table->sgl, &wanted, device_fd);
	pthread_mutex_unlock(&b->lock);
	if (err)
		check_transfer_end(wanted.check);
	return err;
}

static unsigned int take_done(struct block_device *b, struct dma_buf_block_completion *completions,
			      unsigned int max)
{
	struct block_transfer *t;
	unsigned int n = 0;

	while (n < max && (t = block_list_take(&b->done))) {
		completions[n].cookie = t->cookie;
		completions[n++].result = t->result;
		block_transfer_free(b, t);
	}
	return n;
}

/* With the lock held; gives it up while it waits. */
static int reap(struct block_device *b, struct dma_buf_block_completion *completions,
		unsigned int max, int timeout_ms)
{
	int64_t left, end = block_now_ms() + timeout_ms;
	struct pollfd pfds[] = {
		{ .fd = b->done_fd, .events = POLLIN },
		{ .fd = b->poll_fd, .events = POLLIN },
	};
	unsigned int n;
	int err;

	for (;;) {
		b->engine->collect(b);
		n = take_done(b, completions, max);
		if (n)
			return (int)n;
		if (b->under_way == b->jobs_under_way)
			return dmabuf_fail(ENOENT, "no transfer is under way");
		left = end - block_now_ms();
		if (left <= 0)
			return dmabuf_fail(ETIMEDOUT, "none of %u transfers ended within %d ms",
					   b->under_way, timeout_ms);
		block_signal_done(b);
		pthread_mutex_unlock(&b->lock);
		err = poll(pfds, 2, (int)left) < 0 ? errno : 0;
		pthread_mutex_lock(&b->lock);
		if (err)
			return dmabuf_fail(err, "waiting for transfers: %s", strerror(err));
	}
}

DMABUF_PUBLIC int dma_buf_block_reap(struct dma_buf_device *dev,
				     struct dma_buf_block_completion *completions, unsigned int max,
				     int timeout_ms)
{
	struct block_device *b = block_of(dev);
	int ret;

	if (!b)
		return -EINVAL;
	if (!completions || !max || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "reap: needs room for completions and a timeout that is "
					   "not negative");
	ret = check_owner(b);
	if (ret)
		return ret;
	pthread_mutex_lock(&b->lock);
	ret = reap(b, completions, max, timeout_ms);
	block_signal_done(b);
	pthread_mutex_unlock(&b->lock);
	return ret;
}

DMABUF_PUBLIC int dma_buf_block_sync(struct dma_buf_device *dev)
{
	struct block_device *b = block_of(dev);
	int err;

	if (!b)
		return -EINVAL;
	err = check_owner(b);
	if (err)
		return err;
	/* One inode, so this covers what went direct (the disk's own cache) and what did not. */
	do {
		err = fdatasync(b->buffered_fd) < 0 ? errno : 0;
	} while (err == EINTR);
	return err ? dmabuf_fail(err, "%s: fdatasync: %s", dev->name, strerror(err)) : 0;
}
