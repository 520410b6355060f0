// SPDX-License-Identifier: MIT
#include "ownership.h"

#include <errno.h>
#include <string.h>

#include "cache.h"
#include "coherency.h"
#include "error.h"
#include "shm/lock.h"
#include "shm/recovery.h"

/* One transition: the private copy that is worked on, and what it asks for. */
struct transition {
	struct buffer *b;
	struct coherency_state state;
	uint64_t size;
};

static enum coherency_access cpu_access(enum dma_data_direction dir)
{
	if (dir == DMA_TO_DEVICE)
		return COHERENCY_WRITE;
	return dir == DMA_FROM_DEVICE ? COHERENCY_READ : COHERENCY_READ_WRITE;
}

static enum coherency_access device_access(enum dma_data_direction dir)
{
	if (dir == DMA_TO_DEVICE)
		return COHERENCY_READ;
	return dir == DMA_FROM_DEVICE ? COHERENCY_WRITE : COHERENCY_READ_WRITE;
}

static bool tracked(const struct buffer *b)
{
	return atomic_load_explicit(&b->control.header->tracked, memory_order_acquire);
}

/* Memory maintenance is by whole lines; the last one may reach past the payload, not past its page.
 */
static uint64_t line_down(uint64_t byte)
{
	return byte & ~(uint64_t)(cache_line_size() - 1);
}

static uint64_t line_up(uint64_t byte)
{
	return line_down(byte + cache_line_size() - 1);
}

static int transition_begin(struct transition *t, struct buffer *b)
{
	struct shm_header *h = b->control.header;
	int err;

	err = control_intact(&b->control);
	if (err)
		return err;
	pthread_mutex_lock(&b->coherency_mutex);
	err = lock_take(&h->coherency_lock, &b->client, &b->control,
			"the buffer's coherency state");
	if (err) {
		pthread_mutex_unlock(&b->coherency_mutex);
		return err;
	}
	t->b = b;
	t->size = line_up(b->base.size);
	t->state = h->coherency;
	if (!coherency_sanitize(&t->state, t->size, RECOVERY_MAX_COUNT * DMA_BUF_MAX_ATTACHMENTS))
		dmabuf_log(
			DMABUF_LOG_WARNING,
			"the buffer's coherency state made no sense; everything counts as dirty");
	return 0;
}

static void transition_end(struct transition *t)
{
	struct buffer *b = t->b;

	b->control.header->coherency = t->state;
	lock_release(&b->control.header->coherency_lock, &b->client);
	pthread_mutex_unlock(&b->coherency_mutex);
}

static int run_op(struct buffer *b, enum coherency_op op, const struct coherency_range *range)
{
	enum dma_buf_cache_op cache_op = (enum dma_buf_cache_op)op;
	size_t start = range->start, len = range->end - range->start;
	int err;

	control_count(&b->control, sync_needed, 1);
	if (b->base.ops->cache_sync) {
		if (start + len > b->base.size)
			len = b->base.size - start;
		err = b->base.ops->cache_sync(&b->base, cache_op, start, len);
	} else {
		err = cache_sync(cache_op, (char *)b->storage.kept + start, len);
	}
	if (err)
		return dmabuf_fail(-err, "cache operation %d on [%zu, +%zu) failed: %s", (int)op,
				   start, len, strerror(-err));
	control_count(&b->control, sync_done, 1);
	return 0;
}

static int run_plan(struct buffer *b, const struct coherency_plan *plan)
{
	unsigned int i;
	int err = 0, step;

	control_count(&b->control, sync_skipped, plan->skipped);
	for (i = 0; i < plan->count; i++) {
		step = run_op(b, plan->step[i].op, &plan->step[i].range);
		if (step && !err)
			err = step;
	}
	return err;
}

static int check_possible(struct buffer *b)
{
	int err;

	if (!b->base.ops->cache_sync && !cache_supported())
		return dmabuf_fail(EOPNOTSUPP,
				   "this CPU offers programs no cache maintenance, so no "
				   "non-coherent device can take part");
	err = b->storage.ops->keep(&b->storage);
	return err;
}

int ownership_track(struct buffer *b)
{
	struct transition t;
	int err;

	err = check_possible(b);
	if (err || tracked(b))
		return err;
	err = transition_begin(&t, b);
	if (err)
		return err;
	if (!tracked(b)) {
		coherency_assume_dirty(&t.state, t.size);
		atomic_store(&b->control.header->tracked, 1);
	}
	transition_end(&t);
	return 0;
}

int ownership_skip(struct buffer *b)
{
	control_count(&b->control, sync_skipped, 1);
	return 0;
}

static struct shm_client *own_entry(struct buffer *b)
{
	return &b->control.header->clients[b->client.slot];
}

/* What recovery takes back should this process die; guarded by the coherency lock. */
static void count_writers(struct buffer *b, enum coherency_access access, int change)
{
	_Atomic(uint32_t) *writers = &own_entry(b)->cpu_writers;
	uint32_t now = atomic_load(writers);

	if ((access & COHERENCY_WRITE) && (change > 0 || now))
		atomic_store(writers, now + (uint32_t)change);
}

int ownership_cpu_begin(struct buffer *b, size_t start, size_t len, enum dma_data_direction dir)
{
	enum coherency_access access = cpu_access(dir);
	struct coherency_plan plan;
	struct coherency_state old;
	struct transition t;
	int err;

	if (!tracked(b) || !len)
		return ownership_skip(b);
	err = check_possible(b);
	if (!err)
		err = transition_begin(&t, b);
	if (err)
		return err;
	old = t.state;
	coherency_cpu_begin(&t.state, line_down(start), line_up(start + len), access, &plan);
	err = run_plan(b, &plan);
	if (err)
		t.state = old;
	else
		count_writers(b, access, 1);
	transition_end(&t);
	return err;
}

int ownership_cpu_end(struct buffer *b, size_t start, size_t len, enum dma_data_direction dir)
{
	enum coherency_access access = cpu_access(dir);
	struct coherency_plan plan;
	struct transition t;
	int err;

	if (!tracked(b) || !len)
		return ownership_skip(b);
	err = transition_begin(&t, b);
	if (err)
		return err;
	coherency_cpu_end(&t.state, line_down(start), line_up(start + len), access, &plan);
	err = run_plan(b, &plan);
	if (err)
		coherency_assume_dirty(&t.state, t.size);
	count_writers(b, access, -1);
	transition_end(&t);
	return err;
}

static _Atomic(uint32_t) *device_count(struct shm_attachment *entry, enum coherency_access access)
{
	return (access & COHERENCY_WRITE) ? &entry->device_writers : &entry->device_readers;
}

int ownership_device_begin(struct buffer *b, struct shm_attachment *entry,
			   enum dma_data_direction dir, bool cpu)
{
	enum coherency_access access = device_access(dir);
	struct coherency_plan plan;
	struct coherency_state old;
	struct transition t;
	int err;

	err = transition_begin(&t, b);
	if (err)
		return err;
	old = t.state;
	if (cpu) {
		coherency_cpu_end(&t.state, 0, t.size, cpu_access(dir), &plan);
		err = run_plan(b, &plan);
	}
	if (!err) {
		coherency_device_begin(&t.state, t.size, access, &plan);
		err = run_plan(b, &plan);
	}
	if (err) {
		t.state = old;
	} else {
		atomic_fetch_add(device_count(entry, access), 1);
		if (cpu)
			count_writers(b, cpu_access(dir), -1);
	}
	transition_end(&t);
	return err;
}

int ownership_device_end(struct buffer *b, struct shm_attachment *entry,
			 enum dma_data_direction dir, bool cpu)
{
	enum coherency_access access = device_access(dir);
	struct coherency_plan plan;
	struct coherency_state old;
	struct transition t;
	int err;

	err = transition_begin(&t, b);
	if (err)
		return err;
	old = t.state;
	coherency_device_end(&t.state, t.size, access, &plan);
	err = run_plan(b, &plan);
	if (cpu && !err) {
		coherency_cpu_begin(&t.state, 0, t.size, cpu_access(dir), &plan);
		err = run_plan(b, &plan);
	}
	if (cpu && err) {
		t.state = old;
	} else {
		atomic_fetch_sub(device_count(entry, access), 1);
		if (cpu)
			count_writers(b, cpu_access(dir), 1);
	}
	transition_end(&t);
	return err;
}
