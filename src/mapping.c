// SPDX-License-Identifier: MIT
/* Map and unmap (mission rows A5, A8). */
#include "attachment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dmabuf/attach.h>

#include "check/rules.h"
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
	if (table) {
		check_handed_over(attach, direction);
	} else {
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

struct mapping **mapping_find(struct attachment *a, struct dma_buf_sg_table *table,
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

enum dma_data_direction mapping_direction(const struct attachment *a,
					  const struct dma_buf_sg_table *table)
{
	const struct mapping *m;

	for (m = a->mappings; m; m = m->next)
		if (m->table == table)
			return m->direction;
	return DMA_NONE;
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
	int err;

	if (m->owner == MAPPING_CPU)
		check_cpu_owns(&a->base, m->direction, false);
	err = give_up_ownership(a, m);
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
	enum dma_data_direction mapped;
	struct mapping **at;
	int err = attachment_check(attach);

	if (err)
		return err;
	pthread_mutex_lock(&a->map_lock);
	mapped = mapping_direction(a, table);
	at = mapping_find(a, table, direction, MAPPING_DEVICE);
	err = at ? unmap_locked(a, at) : -EINVAL;
	pthread_mutex_unlock(&a->map_lock);
	if (!at)
		check_bad_table(attach, "unmapped", direction, mapped);
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
	enum dma_data_direction mapped;
	struct mapping *m;

	if (err)
		return err;
	pthread_mutex_lock(&a->map_lock);
	mapped = mapping_direction(a, table);
	for (m = a->mappings; m; m = m->next)
		if (m->table == table && m->owner == MAPPING_DEVICE &&
		    (m->direction == direction || m->direction == DMA_BIDIRECTIONAL))
			break;
	pthread_mutex_unlock(&a->map_lock);
	if (m)
		return 0;
	check_bad_table(attach, "started a transfer of", direction, mapped);
	return dmabuf_fail(EINVAL, "device %s has no such table mapped for direction %d",
			   attach->dev->name, (int)direction);
}
