// SPDX-License-Identifier: MIT
/*
 * Handing a buffer that is mapped to and fro without unmapping it: by call (mission row C1), and
 * with the DMA locks of dmabuf-sync (D6).
 */
#include "attachment.h"

#include <errno.h>

#include "check/rules.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "ownership.h"

static int to_cpu(struct attachment *a, struct mapping *m)
{
	struct buffer *b = to_buffer(a->base.dmabuf);
	int err;

	if (m->owner == MAPPING_CPU)
		return dmabuf_fail(EALREADY, "the CPU owns the buffer through this table already");
	if (m->owner == MAPPING_DEVICE && a->base.dev->ops->sync_sg_for_cpu)
		a->base.dev->ops->sync_sg_for_cpu(a->base.dev, m->table, m->direction);
	if (m->owner == MAPPING_PARKED)
		err = ownership_whole_begin(b, m->direction);
	else if (m->noncoherent)
		err = ownership_device_end(b, attachment_entry(a), m->lent, true);
	else
		err = ownership_coherent_switch(b, m->direction, true);
	if (err)
		return err;
	m->owner = MAPPING_CPU;
	check_cpu_owns(&a->base, m->direction, true);
	return 0;
}

static int to_device(struct attachment *a, struct mapping *m, enum dma_data_direction as)
{
	struct buffer *b = to_buffer(a->base.dmabuf);
	int err;

	if (m->owner == MAPPING_DEVICE)
		return dmabuf_fail(EALREADY, "device %s owns the buffer through this table already",
				   a->base.dev->name);
	err = m->noncoherent
		      ? ownership_device_begin(b, attachment_entry(a), as, m->owner == MAPPING_CPU)
		      : ownership_coherent_switch(b, m->direction, false);
	if (err)
		return err;
	if (m->owner == MAPPING_CPU)
		check_cpu_owns(&a->base, m->direction, false);
	if (a->base.dev->ops->sync_sg_for_device)
		a->base.dev->ops->sync_sg_for_device(a->base.dev, m->table, m->direction);
	m->owner = MAPPING_DEVICE;
	m->lent = as;
	return 0;
}

static int sync_sg(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
		   enum dma_data_direction direction, bool for_cpu)
{
	struct attachment *a = (struct attachment *)attach;
	enum dma_data_direction mapped;
	struct mapping **at;
	int err = attachment_check(attach);

	if (err)
		return err;
	pthread_mutex_lock(&a->map_lock);
	mapped = mapping_direction(a, table);
	at = mapping_find(a, table, direction, for_cpu ? MAPPING_DEVICE : MAPPING_CPU);
	if (!at)
		err = -EINVAL;
	else
		err = for_cpu ? to_cpu(a, *at) : to_device(a, *at, direction);
	pthread_mutex_unlock(&a->map_lock);
	if (!at || err == -EALREADY)
		check_bad_table(attach, for_cpu ? "took back from" : "gave to", direction, mapped);
	else if (!err && !for_cpu)
		check_handed_over(attach, direction);
	return err;
}

DMABUF_PUBLIC int dma_buf_sync_sg_for_cpu(struct dma_buf_attachment *attach,
					  struct dma_buf_sg_table *table,
					  enum dma_data_direction direction)
{
	return sync_sg(attach, table, direction, true);
}

DMABUF_PUBLIC int dma_buf_sync_sg_for_device(struct dma_buf_attachment *attach,
					     struct dma_buf_sg_table *table,
					     enum dma_data_direction direction)
{
	return sync_sg(attach, table, direction, false);
}

/* DMA locks */

static int park(struct attachment *a, struct mapping *m)
{
	if (a->base.dev->ops->sync_sg_for_cpu)
		a->base.dev->ops->sync_sg_for_cpu(a->base.dev, m->table, m->direction);
	m->owner = MAPPING_PARKED;
	return ownership_device_end(to_buffer(a->base.dmabuf), attachment_entry(a), m->lent, false);
}

/* What a device may do that is mapped with @direction, under a lock to read or to write. */
static bool lends_as(enum dma_data_direction direction, bool write, enum dma_data_direction *as)
{
	*as = write ? direction : DMA_TO_DEVICE;
	return write || direction != DMA_FROM_DEVICE;
}

/* Only what is @parked now: of one that the CPU owns explicitly, its owner disposes. */
static int lend_mappings(struct attachment *a, bool write)
{
	enum dma_data_direction as;
	struct mapping *m;
	int err = 0;

	for (m = a->mappings; m && !err; m = m->next)
		if (m->noncoherent && m->owner == MAPPING_PARKED &&
		    lends_as(m->direction, write, &as))
			err = to_device(a, m, as);
	return err;
}

static int park_mappings(struct attachment *a)
{
	struct mapping *m;
	int err = 0, one;

	for (m = a->mappings; m; m = m->next) {
		if (!m->noncoherent || m->owner != MAPPING_DEVICE)
			continue;
		one = park(a, m);
		if (one && !err)
			err = one;
	}
	return err;
}

/* Does, or will, one of the attachment's mappings share the CPU's caches? */
static bool is_coherent(const struct attachment *a)
{
	const struct mapping *m;

	for (m = a->mappings; m && m->noncoherent; m = m->next)
		;
	return a->mappings ? m != NULL : !a->needs.noncoherent;
}

/* With list_mutex held. @park: give back; else lend. Stops at the first error if lending. */
static int hand_over_all(struct buffer *b, bool park, bool write, bool *coherent)
{
	struct attachment *a;
	int err = 0, one;

	*coherent = !b->attachments;
	for (a = b->attachments; a && (park || !err); a = a->next) {
		pthread_mutex_lock(&a->map_lock);
		*coherent |= is_coherent(a);
		one = park ? park_mappings(a) : lend_mappings(a, write);
		pthread_mutex_unlock(&a->map_lock);
		if (one && !err)
			err = one;
	}
	return err;
}

static int lock_own_list(struct buffer *b)
{
	if (pthread_mutex_lock(&b->list_mutex) != EDEADLK)
		return 0;
	return dmabuf_fail(EDEADLK, "a DMA lock from inside the exporter's attach or detach");
}

int attachments_lend(struct buffer *b, bool write, bool *coherent)
{
	bool ignored;
	int err = lock_own_list(b);

	if (err)
		return err;
	err = hand_over_all(b, false, write, coherent);
	if (!err)
		b->dma_holds++;
	else if (!b->dma_holds)
		(void)hand_over_all(b, true, write, &ignored);
	pthread_mutex_unlock(&b->list_mutex);
	return err;
}

int attachments_take_back(struct buffer *b, bool counted, bool *coherent)
{
	int err = lock_own_list(b);

	if (err)
		return err;
	if (counted)
		b->dma_holds--;
	if (b->dma_holds)
		*coherent = true;
	else
		err = hand_over_all(b, true, false, coherent);
	pthread_mutex_unlock(&b->list_mutex);
	return err;
}
