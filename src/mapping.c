// SPDX-License-Identifier: MIT
/*
 * Map, unmap, and handing the buffer to and fro without unmapping (mission rows A5, A8, C1).
 */
#include "attachment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dmabuf/attach.h>

#include "device.h"
#include "error.h"
#include "export.h"
#include "futex.h"
#include "map-check.h"
#include "ownership.h"
#include "storage-deferred.h"
#include "storage-migrate.h"
#include "storage-pin.h"
#include "text.h"

static bool kept_fits(const struct dma_buf_attachment *attach, enum dma_data_direction direction)
{
	return attach->dir == direction || attach->dir == DMA_BIDIRECTIONAL;
}

/*
 * With map_lock held, and storage that stays as it is: a table of what the buffer had before is
 * dropped. Nobody has it mapped, that would have kept the storage in place.
 */
static void drop_outdated(struct attachment *a)
{
	struct buffer *b = to_buffer(a->base.dmabuf);

	if (!b->storage.deferred || !a->base.sgt || a->mappings ||
	    a->table_generation == b->storage.deferred->generation)
		return;
	b->base.ops->unmap_dma_buf(&a->base, a->base.sgt, a->base.dir);
	a->base.sgt = NULL;
}

/* @told: whoever failed left words. Sets errno. */
static void map_failed(const struct attachment *a, int err, bool told)
{
	char why[512];

	text_copy(why, sizeof(why), told ? dmabuf_last_error() : strerror(err));
	dmabuf_fail(err, "mapping for device %s failed: %s", a->base.dev->name, why);
}

/* With map_lock held: a table from the exporter, or the kept one. */
static struct dma_buf_sg_table *obtain(struct attachment *a, enum dma_data_direction direction,
				       bool try_only, bool *kept)
{
	const struct dma_buf_ops *ops = a->base.dmabuf->ops;
	unsigned long failures = dmabuf_failures();
	struct dma_buf_sg_table *table;

	drop_outdated(a);
	*kept = a->base.sgt != NULL;
	if (*kept) {
		if (kept_fits(&a->base, direction))
			return a->base.sgt;
		return dmabuf_fail_ptr(EBUSY,
				       "the kept table is mapped for direction %d, not %d: detach, "
				       "or map bidirectionally first",
				       (int)a->base.dir, (int)direction);
	}
	if (try_only && !ops->try_map_dma_buf)
		return dmabuf_fail_ptr(EBUSY, "exporter %s cannot say whether mapping would block",
				       a->base.dmabuf->exp_name);
	errno = 0;
	table = try_only ? ops->try_map_dma_buf(&a->base, direction)
			 : ops->map_dma_buf(&a->base, direction);
	if (!table)
		map_failed(a, errno ? errno : ENOMEM, failures != dmabuf_failures());
	return table;
}

static void give_back(struct attachment *a, struct dma_buf_sg_table *table,
		      enum dma_data_direction direction, bool kept)
{
	if (!kept)
		a->base.dmabuf->ops->unmap_dma_buf(&a->base, table, direction);
}

static int take_ownership(struct attachment *a, struct mapping *m)
{
	struct buffer *b = to_buffer(a->base.dmabuf);
	int err;

	if (!m->noncoherent)
		return ownership_coherent_begin(b, m->direction);
	err = ownership_track(b);
	if (!err)
		err = ownership_device_begin(b, attachment_entry(a), m->direction, false);
	return err;
}

static void record(struct attachment *a, struct mapping *m, bool kept)
{
	struct buffer *b = to_buffer(a->base.dmabuf);

	m->owner = MAPPING_DEVICE;
	m->lent = m->direction;
	m->next = a->mappings;
	a->mappings = m;
	if (b->base.ops->cache_sgt_mapping && !kept) {
		a->base.sgt = m->table;
		a->base.dir = m->direction;
		if (b->storage.deferred)
			a->table_generation = b->storage.deferred->generation;
	}
	atomic_fetch_add(&attachment_entry(a)->mapped, 1);
	atomic_store(&attachment_entry(a)->direction, m->direction);
	control_count(&b->control, maps, 1);
	if (kept)
		control_count(&b->control, cached_maps, 1);
}

/* With map_lock held. */
static struct dma_buf_sg_table *map_locked(struct attachment *a, enum dma_data_direction direction,
					   unsigned int attrs, bool try_only)
{
	struct mapping *m = calloc(1, sizeof(*m));
	bool kept;
	int err;

	if (!m)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a mapping");
	m->direction = direction;
	m->noncoherent = map_noncoherent(a, attrs);
	m->zero_copy = attrs & DMA_BUF_MAP_ZERO_COPY;
	m->table = obtain(a, direction, try_only, &kept);
	if (!m->table) {
		err = errno;
		free(m);
		errno = err;
		return NULL;
	}
	err = m->zero_copy ? map_check_zero_copy(a, m->table, direction) : 0;
	if (!err)
		err = take_ownership(a, m);
	if (err) {
		give_back(a, m->table, direction, kept);
		free(m);
		errno = -err;
		return NULL;
	}
	record(a, m, kept);
	return m->table;
}

/* Does the storage, which stays as it is meanwhile, suit all devices? 1, 0, -errno. */
static int suits(struct attachment *a)
{
	struct buffer *b = to_buffer(a->base.dmabuf);
	uint64_t generation;
	int ret;

	if (!b->storage.deferred)
		return 1;
	generation = b->storage.deferred->generation;
	if (atomic_load_explicit(&a->suited, memory_order_relaxed) == generation)
		return 1;
	ret = storage_suits(b);
	if (ret > 0)
		atomic_store_explicit(&a->suited, generation, memory_order_relaxed);
	return ret;
}

/* An access begins that storage must suit; else it moves first. 0 or -errno with words. */
static int begin_access(struct attachment *a, bool try_only)
{
	struct buffer *b = to_buffer(a->base.dmabuf);
	bool moved = false;
	int err;

	for (;;) {
		err = storage_access_begin(b, try_only ? STORAGE_TRY : STORAGE_WAIT);
		if (err)
			return err;
		err = suits(a);
		if (err > 0)
			return 0;
		storage_access_end(b);
		if (err < 0)
			return err;
		if (try_only || moved)
			return dmabuf_fail(EBUSY,
					   "the buffer's storage does not suit device %s, and has "
					   "not migrated yet",
					   a->base.dev->name);
		err = storage_migrate(b, NULL, futex_deadline(STORAGE_PATIENCE_MS));
		if (err)
			return err == -EAGAIN ? -EBUSY : err;
		moved = true;
	}
}

static struct dma_buf_sg_table *map(struct dma_buf_attachment *attach,
				    enum dma_data_direction direction, unsigned int attrs,
				    bool try_only)
{
	struct attachment *a = (struct attachment *)attach;
	struct dma_buf_sg_table *table;
	int err;

	if (map_check(attach, direction, attrs) < 0)
		return NULL;
	err = begin_access(a, try_only);
	if (err) {
		errno = -err;
		return NULL;
	}
	if (!try_only) {
		pthread_mutex_lock(&a->map_lock);
	} else if (pthread_mutex_trylock(&a->map_lock)) {
		storage_access_end(to_buffer(attach->dmabuf));
		return dmabuf_fail_ptr(EBUSY, "another thread is mapping this attachment");
	}
	table = map_locked(a, direction, attrs, try_only);
	pthread_mutex_unlock(&a->map_lock);
	if (!table) {
		err = errno;
		storage_access_end(to_buffer(attach->dmabuf));
		errno = err;
	}
	return table;
}

DMABUF_PUBLIC struct dma_buf_sg_table *dma_buf_map_attachment(struct dma_buf_attachment *attach,
							      enum dma_data_direction direction)
{
	return map(attach, direction, 0, false);
}

DMABUF_PUBLIC struct dma_buf_sg_table *
dma_buf_map_attachment_attrs(struct dma_buf_attachment *attach, enum dma_data_direction direction,
			     unsigned int attrs)
{
	return map(attach, direction, attrs, false);
}

DMABUF_PUBLIC struct dma_buf_sg_table *dma_buf_try_map_attachment(struct dma_buf_attachment *attach,
								  enum dma_data_direction direction)
{
	return map(attach, direction, 0, true);
}

static void describe_table(const struct dma_buf_sg_table *table, struct dma_buf_test_mapping *info)
{
	const struct dma_buf_scatterlist *sg;
	unsigned int i;

	info->nents = table->nents;
	info->longest = info->highest_address = 0;
	info->lowest_address = UINT64_MAX;
	dma_buf_for_each_dma_sg(table, sg, i) {
		uint64_t last = sg->dma_address + sg->dma_length - 1;

		if (sg->dma_length > info->longest)
			info->longest = sg->dma_length;
		if (last > info->highest_address)
			info->highest_address = last;
		if (sg->dma_address < info->lowest_address)
			info->lowest_address = sg->dma_address;
	}
}

DMABUF_PUBLIC int dma_buf_test_map_attachment(struct dma_buf_attachment *attach,
					      enum dma_data_direction direction, unsigned int attrs,
					      struct dma_buf_test_mapping *info)
{
	struct attachment *a = (struct attachment *)attach;
	struct dma_buf_sg_table *table;
	int err = map_check(attach, direction, attrs);
	bool kept;

	if (!err && info && info->size != sizeof(*info))
		err = dmabuf_fail(EINVAL, "test mapping: size must be %zu", sizeof(*info));
	if (!err)
		err = begin_access(a, false);
	if (err)
		return err;
	pthread_mutex_lock(&a->map_lock);
	table = obtain(a, direction, false, &kept);
	if (table) {
		if (attrs & DMA_BUF_MAP_ZERO_COPY)
			err = map_check_zero_copy(a, table, direction);
		if (!err && info)
			describe_table(table, info);
		give_back(a, table, direction, kept);
	} else {
		err = -errno;
	}
	pthread_mutex_unlock(&a->map_lock);
	storage_access_end(to_buffer(attach->dmabuf));
	return err;
}

bool attachment_zero_copy(struct dma_buf_attachment *attach, const struct dma_buf_sg_table *table)
{
	struct attachment *a = (struct attachment *)attach;
	bool zero_copy = false;
	struct mapping *m;

	pthread_mutex_lock(&a->map_lock);
	for (m = a->mappings; m && !zero_copy; m = m->next)
		zero_copy = m->table == table && m->zero_copy;
	pthread_mutex_unlock(&a->map_lock);
	return zero_copy;
}

/*
 * With map_lock held: the mapping of @table with @direction; of several of a kept table, one with
 * that @owner, if there is one.
 */
static struct mapping **find_mapping(struct attachment *a, struct dma_buf_sg_table *table,
				     enum dma_data_direction direction, enum mapping_owner owner)
{
	struct mapping **at, **other = NULL;

	for (at = &a->mappings; *at; at = &(*at)->next) {
		if ((*at)->table != table || (*at)->direction != direction)
			continue;
		if ((*at)->owner == owner)
			return at;
		other = at;
	}
	if (!other)
		dmabuf_fail(EINVAL,
			    "not a table that device %s has mapped with direction %d (unmapped "
			    "already, or mapped with another direction)",
			    a->base.dev->name, (int)direction);
	return other;
}

static int give_up_ownership(struct attachment *a, struct mapping *m)
{
	struct buffer *b = to_buffer(a->base.dmabuf);

	if (!m->noncoherent)
		return ownership_coherent_end(b, m->direction, m->owner == MAPPING_CPU);
	if (m->owner == MAPPING_DEVICE)
		return ownership_device_end(b, attachment_entry(a), m->lent, false);
	/* Between sync for cpu and sync for device the CPU's access is open. */
	return m->owner == MAPPING_CPU ? ownership_whole_end(b, m->direction) : 0;
}

/* With map_lock held. The table goes even if a cache operation fails; that is reported. */
static int unmap_locked(struct attachment *a, struct mapping **at)
{
	struct mapping *m = *at;
	int err = give_up_ownership(a, m);

	*at = m->next;
	give_back(a, m->table, m->direction, m->table == a->base.sgt);
	atomic_fetch_sub(&attachment_entry(a)->mapped, 1);
	free(m);
	storage_access_end(to_buffer(a->base.dmabuf));
	return err;
}

DMABUF_PUBLIC int dma_buf_unmap_attachment(struct dma_buf_attachment *attach,
					   struct dma_buf_sg_table *table,
					   enum dma_data_direction direction)
{
	struct attachment *a = (struct attachment *)attach;
	struct mapping **at;
	int err = attachment_check(attach);

	if (err)
		return err;
	pthread_mutex_lock(&a->map_lock);
	at = find_mapping(a, table, direction, MAPPING_DEVICE);
	err = at ? unmap_locked(a, at) : -EINVAL;
	pthread_mutex_unlock(&a->map_lock);
	return err;
}

void attachment_unmap_all(struct attachment *a)
{
	pthread_mutex_lock(&a->map_lock);
	while (a->mappings)
		unmap_locked(a, &a->mappings);
	if (a->base.sgt)
		a->base.dmabuf->ops->unmap_dma_buf(&a->base, a->base.sgt, a->base.dir);
	a->base.sgt = NULL;
	pthread_mutex_unlock(&a->map_lock);
}

int attachment_check_mapped(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			    enum dma_data_direction direction)
{
	struct attachment *a = (struct attachment *)attach;
	int err = attachment_check(attach);
	struct mapping *m;

	if (err)
		return err;
	pthread_mutex_lock(&a->map_lock);
	for (m = a->mappings; m; m = m->next)
		if (m->table == table && m->owner == MAPPING_DEVICE &&
		    (m->direction == direction || m->direction == DMA_BIDIRECTIONAL))
			break;
	pthread_mutex_unlock(&a->map_lock);
	if (m)
		return 0;
	return dmabuf_fail(EINVAL, "device %s has no such table mapped for direction %d",
			   attach->dev->name, (int)direction);
}

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
	if (!err)
		m->owner = MAPPING_CPU;
	return err;
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
	struct mapping **at;
	int err = attachment_check(attach);

	if (err)
		return err;
	pthread_mutex_lock(&a->map_lock);
	at = find_mapping(a, table, direction, for_cpu ? MAPPING_DEVICE : MAPPING_CPU);
	if (!at)
		err = -EINVAL;
	else
		err = for_cpu ? to_cpu(a, *at) : to_device(a, *at, direction);
	pthread_mutex_unlock(&a->map_lock);
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
