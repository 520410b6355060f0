// SPDX-License-Identifier: MIT
#include "ownership.h"

#include <errno.h>
#include <string.h>

#include "cache.h"
#include "coherency.h"
#include "error.h"
#include "resv/resv.h"
#include "shm/lock.h"
#include "shm/recovery.h"

/* Most mappings or accesses that one entry's counter is believed. */
#define BELIEVED_MAX 1024

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

static uint64_t line_down(uint64_t byte)
{
	return byte & ~(uint64_t)(cache_line_size() - 1);
}

static uint32_t believed(uint32_t count)
{
	return count > BELIEVED_MAX ? BELIEVED_MAX : count;
}

/*
 * The counts are not kept in the shared state but added up from what each client says of itself,
 * and from the reservation's @holds that may write, so that a death or a scribble is forgotten with
 * the slot or entry that it happened in. Too high a count costs a write-back, nothing else.
 */
static void count_owners(struct buffer *b, struct coherency_state *state, uint32_t holds)
{
	const struct shm_header *h = b->control.header;
	uint32_t readers = 0, writers = 0, cpu_writers = holds;
	unsigned int i;

	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++) {
		const struct shm_attachment *a = &b->control.attachments[i];

		if (!atomic_load(&a->owner))
			continue;
		readers += believed(atomic_load(&a->device_readers));
		writers += believed(atomic_load(&a->device_writers));
	}
	for (i = 0; i < DMA_BUF_MAX_CLIENTS; i++)
		if (atomic_load(&h->clients[i].state) != SHM_CLIENT_FREE)
			cpu_writers += believed(atomic_load(&h->clients[i].cpu_writers));
	state->device_readers = readers;
	state->device_writers = writers;
	state->cpu_writers = cpu_writers;
}

static void transition_end(struct transition *t)
{
	t->b->control.header->coherency = t->state;
	unlock_coherency(&t->b->client, &t->b->control);
}

static int run_op(struct buffer *b, enum coherency_op op, const struct coherency_range *range)
{
	enum dma_buf_cache_op cache_op = (enum dma_buf_cache_op)op;
	size_t start = range->start, len = range->end - range->start;
	int err;

	control_count(&b->control, sync_needed, 1);
	if (b->base.ops->cache_sync) {
		/* Shared state may name any bytes of the payload's last line, those past it too. */
		if (start > b->base.size)
			start = b->base.size;
		if (len > b->base.size - start)
			len = b->base.size - start;
		err = len ? b->base.ops->cache_sync(&b->base, cache_op, start, len) : 0;
	} else {
		/* Storage that can move may have done so since this process last looked. */
		err = b->storage.deferred ? b->storage.ops->keep(&b->storage) : 0;
		if (!err && b->storage.kept)
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

/* What a dead writer left dirty under a device's hands is cleaned before anything else. */
static int settle(struct transition *t)
{
	struct coherency_state old = t->state;
	struct coherency_plan plan;
	int err;

	coherency_settle(&t->state, &plan);
	err = run_plan(t->b, &plan);
	if (err) {
		t->state = old;
		transition_end(t);
	}
	return err;
}

/* The counts are known, whatever the content is. */
static void doubt(struct transition *t)
{
	uint32_t writers = t->state.cpu_writers;

	coherency_assume_dirty(&t->state, t->size);
	t->state.cpu_writers = writers;
}

static int transition_begin(struct transition *t, struct buffer *b)
{
	uint32_t holds;
	int err;

	err = control_intact(&b->control);
	if (err)
		return err;
	err = lock_coherency(&b->client, &b->control);
	if (err)
		return err;
	t->b = b;
	t->size = control_whole_lines(b->base.size);
	control_copy(&t->state, &b->control.header->coherency, sizeof(t->state));
	holds = resv_writers(&b->control);
	count_owners(b, &t->state, holds);
	if (!coherency_sanitize(&t->state, t->size, UINT32_MAX))
		dmabuf_log(
			DMABUF_LOG_WARNING,
			"the buffer's coherency state made no sense; everything counts as dirty");
	if (atomic_load(&b->control.header->tracked) == SHM_TRACKED_DOUBT) {
		if (!holds)
			atomic_store(&b->control.header->tracked, SHM_TRACKED);
		doubt(t);
	}
	return settle(t);
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
		/* First this, then the look: whoever writes and did not see it is seen. */
		atomic_fetch_or(&resv_state_line(&b->control, 0)->coherency, SHM_LOCK_COHERENCY);
		atomic_store(&b->control.header->tracked,
			     resv_writers(&b->control) ? SHM_TRACKED_DOUBT : SHM_TRACKED);
	}
	transition_end(&t);
	return 0;
}

/* What was written counts as dirty wherever it is, if the old memory stays in the end, too. */
void ownership_replaced(struct buffer *b)
{
	if (tracked(b))
		atomic_store(&b->control.header->tracked, SHM_TRACKED_DOUBT);
}

void ownership_recover(struct buffer *b)
{
	struct transition t;

	/* A transition that begins settles; if that fails, the next one tries again. */
	if (recovery_sweep(&b->client, &b->control) && tracked(b) && check_possible(b) == 0 &&
	    transition_begin(&t, b) == 0)
		transition_end(&t);
}

static int skip(struct buffer *b)
{
	control_count(&b->control, sync_skipped, 1);
	return 0;
}

static struct shm_client *own_entry(struct buffer *b)
{
	return &b->control.header->clients[b->client.slot];
}

void ownership_count_writer(struct buffer *b, enum dma_data_direction dir, int change)
{
	if (cpu_access(dir) & COHERENCY_WRITE)
		atomic_fetch_add(&own_entry(b)->cpu_writers, (uint32_t)change);
}

int ownership_cpu_begin(struct buffer *b, size_t start, size_t len, enum dma_data_direction dir)
{
	enum coherency_access access = cpu_access(dir);
	struct coherency_plan plan;
	struct coherency_state old;
	struct transition t;
	int err;

	if (!tracked(b) || !len)
		return skip(b);
	err = check_possible(b);
	if (!err)
		err = transition_begin(&t, b);
	if (err)
		return err;
	old = t.state;
	/* The caller has counted itself, but has not written yet. */
	if ((access & COHERENCY_WRITE) && t.state.cpu_writers)
		t.state.cpu_writers--;
	coherency_cpu_begin(&t.state, line_down(start), control_whole_lines(start + len), access,
			    &plan);
	err = run_plan(b, &plan);
	if (err)
		t.state = old;
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
		return skip(b);
	err = transition_begin(&t, b);
	if (err) {
		/* What was written is recorded by whoever gets the lock next. */
		if (access & COHERENCY_WRITE)
			atomic_store(&b->control.header->tracked, SHM_TRACKED_DOUBT);
		return err;
	}
	coherency_cpu_end(&t.state, line_down(start), control_whole_lines(start + len), access,
			  &plan);
	err = run_plan(b, &plan);
	if (err)
		coherency_assume_dirty(&t.state, t.size);
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
			ownership_count_writer(b, dir, -1);
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
			ownership_count_writer(b, dir, 1);
	}
	transition_end(&t);
	return err;
}

int ownership_whole_begin(struct buffer *b, enum dma_data_direction dir)
{
	int err;

	ownership_count_writer(b, dir, 1);
	err = ownership_cpu_begin(b, 0, b->base.size, dir);
	if (err)
		ownership_count_writer(b, dir, -1);
	return err;
}

int ownership_whole_end(struct buffer *b, enum dma_data_direction dir)
{
	int err = ownership_cpu_end(b, 0, b->base.size, dir);

	ownership_count_writer(b, dir, -1);
	return err;
}

/* What a device does to memory, in the words for what the CPU does. */
static enum dma_data_direction as_cpu(enum dma_data_direction dir)
{
	if (dir == DMA_TO_DEVICE)
		return DMA_FROM_DEVICE;
	return dir == DMA_FROM_DEVICE ? DMA_TO_DEVICE : dir;
}

int ownership_coherent_begin(struct buffer *b, enum dma_data_direction dir)
{
	return ownership_whole_begin(b, as_cpu(dir));
}

int ownership_coherent_end(struct buffer *b, enum dma_data_direction dir, bool cpu)
{
	return ownership_whole_end(b, cpu ? dir : as_cpu(dir));
}

int ownership_coherent_switch(struct buffer *b, enum dma_data_direction dir, bool to_cpu)
{
	enum dma_data_direction from = to_cpu ? as_cpu(dir) : dir;
	enum dma_data_direction to = to_cpu ? dir : as_cpu(dir);
	int err;

	if (!tracked(b)) {
		ownership_count_writer(b, to, 1);
		ownership_count_writer(b, from, -1);
		return skip(b);
	}
	err = ownership_whole_begin(b, to);
	if (err)
		return err;
	err = ownership_whole_end(b, from);
	if (err) {
		ownership_count_writer(b, from, 1);
		ownership_whole_end(b, to);
	}
	return err;
}
