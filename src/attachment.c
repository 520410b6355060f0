// SPDX-License-Identifier: MIT
/*
 * Attach and detach. The table of attachments in the control block is what every holder sees; the
 * list lock serialises whoever changes it, exporter's ops included, and is never held across map,
 * unmap or CPU access (mission rows A4, A6).
 */
#include "attachment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dmabuf/attach.h>

#include "attachment-constraints.h"
#include "check/rules.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "ownership.h"
#include "registry.h"
#include "shm/lock.h"
#include "shm/parameters.h"
#include "storage-migrate.h"
#include "text.h"

int attachment_check(struct dma_buf_attachment *attach)
{
	struct attachment *found;

	if (!attach)
		return dmabuf_fail(EINVAL, "no attachment (NULL)");
	found = registry_find_attachment(attach);
	if (!found)
		return dmabuf_fail(EINVAL, "the attachment is not attached (used after detach?)");
	return buffer_check(found->base.dmabuf);
}

struct shm_attachment *attachment_entry(struct attachment *a)
{
	return &to_buffer(a->base.dmabuf)->control.attachments[a->index];
}

/* ThreadSanitizer knows only the kind of timed lock that a step of the clock disturbs. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define pthread_mutex_clocklock(mutex, clock, until) pthread_mutex_timedlock(mutex, until)
#define MUTEX_CLOCK CLOCK_REALTIME
#endif
#endif
#ifndef MUTEX_CLOCK
#define MUTEX_CLOCK CLOCK_MONOTONIC
#endif

int attachments_lock(struct buffer *b, bool *nested)
{
	struct timespec until;
	int err;

	*nested = false;

	clock_gettime(MUTEX_CLOCK, &until);
	until.tv_sec += LOCK_TIMEOUT_MS / 1000;
	err = pthread_mutex_clocklock(&b->list_mutex, MUTEX_CLOCK, &until);
	*nested = err == EDEADLK;
	if (*nested)
		return 0;
	if (err)
		return dmabuf_fail(err,
				   "another thread of this process holds the buffer's list "
				   "lock: %s",
				   strerror(err));
	err = control_intact(&b->control);
	if (!err)
		err = lock_list(&b->client, &b->control);
	if (err)
		pthread_mutex_unlock(&b->list_mutex);
	return err;
}

void attachments_unlock(struct buffer *b)
{
	unlock_list(&b->client, &b->control);
	pthread_mutex_unlock(&b->list_mutex);
}

/* With the list lock held. What dead clients left is cleaned up first. */
static int find_entry(struct buffer *b, uint32_t *index)
{
	uint32_t i;

	ownership_recover(b);
	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++) {
		if (!atomic_load(&b->control.attachments[i].owner)) {
			*index = i;
			return 0;
		}
	}
	return dmabuf_fail(ENOSPC, "the buffer has %d attachments already, which is the limit",
			   DMA_BUF_MAX_ATTACHMENTS);
}

static void fill_entry(struct buffer *b, const struct attachment *a)
{
	struct shm_attachment *entry = &b->control.attachments[a->index];

	atomic_store(&entry->mapped, 0);
	atomic_store(&entry->direction, DMA_NONE);
	atomic_store(&entry->device_readers, 0);
	atomic_store(&entry->device_writers, 0);
	text_copy(entry->device, sizeof(entry->device), a->base.dev->name);
	entry->usage = a->usage;
	entry->flags = a->vouched ? SHM_ATTACHMENT_VOUCHED : 0;
	shm_parameters_write(&entry->parameters, &a->needs);
	atomic_store(&entry->owner, CLIENT_OWNER(b->client.slot, b->client.generation));
}

static void link_attachment(struct buffer *b, struct attachment *a)
{
	a->prev = NULL;
	a->next = b->attachments;
	if (a->next)
		a->next->prev = a;
	b->attachments = a;
}

static void unlink_attachment(struct buffer *b, struct attachment *a)
{
	if (a->prev)
		a->prev->next = a->next;
	else
		b->attachments = a->next;
	if (a->next)
		a->next->prev = a->prev;
}

static struct attachment *attachment_new(struct dma_buf *dmabuf, struct dma_buf_device *dev,
					 enum dma_data_direction usage)
{
	struct attachment *a = calloc(1, sizeof(*a));

	if (!a)
		return dmabuf_fail_ptr(ENOMEM, "no memory for an attachment");
	pthread_mutex_init(&a->map_lock, NULL);
	a->base.dmabuf = dmabuf;
	a->base.dev = dma_buf_device_get(dev);
	a->base.dir = DMA_NONE;
	a->usage = usage;
	device_needs(&a->needs, dev, usage);
	return a;
}

static void attachment_free(struct attachment *a)
{
	dma_buf_device_put(a->base.dev);
	pthread_mutex_destroy(&a->map_lock);
	free(a);
}

/* With the list lock held. @question: NULL if the device needs nothing. */
static int attach_locked(struct buffer *b, struct attachment *a,
			 struct attachments_problem *question)
{
	int err;

	err = find_entry(b, &a->index);
	if (!err && question)
		err = attachments_admit(b, a, question);
	if (err)
		return err;
	if (b->base.ops->attach) {
		err = b->base.ops->attach(&b->base, &a->base);
		if (err)
			return dmabuf_fail(err < 0 ? -err : EINVAL,
					   "exporter %s refused device %s: %s", b->exp_name,
					   a->base.dev->name, strerror(err < 0 ? -err : EINVAL));
	}
	/* Once nobody can refuse any more: tracking is not undone. */
	err = a->needs.noncoherent ? ownership_track(b) : 0;
	if (err) {
		if (b->base.ops->detach)
			b->base.ops->detach(&b->base, &a->base);
		return err;
	}
	fill_entry(b, a);
	link_attachment(b, a);
	return 0;
}

static int attach_asking(struct buffer *b, struct attachment *a,
			 struct attachments_problem *question)
{
	bool nested;
	int err = attachments_lock(b, &nested);

	if (err)
		return err;
	if (nested)
		return dmabuf_fail(EDEADLK,
				   "attach or detach from inside the exporter's attach or detach");
	err = attach_locked(b, a, question);
	attachments_unlock(b);
	return err;
}

/* Heaps are looked at for the explanation, and so without locks. */
static int attach(struct buffer *b, struct attachment *a)
{
	struct attachments_problem *question = NULL;
	int err = 0;

	if (!attachments_needs_nothing(&a->needs)) {
		question = malloc(sizeof(*question));
		if (!question)
			return dmabuf_fail(ENOMEM, "no memory to look at a buffer's devices");
		question->unfit = false;
		err = attachments_problem_look(b, question);
	}
	if (!err)
		err = attach_asking(b, a, question);
	if (question && question->unfit)
		err = attachments_refuse(b, a, question);
	free(question);
	return err;
}

static void detach(struct buffer *b, struct attachment *a);

/* Storage that is there already, and does not suit, moves now or later; or that is refused. */
static int question_storage(struct buffer *b, const struct attachment *a)
{
	if (!b->storage.deferred || attachments_needs_nothing(&a->needs))
		return 0;
	return storage_attached(b, a->base.dev->name);
}

DMABUF_PUBLIC struct dma_buf_attachment *dma_buf_attach_for(struct dma_buf *dmabuf,
							    struct dma_buf_device *dev,
							    enum dma_data_direction usage)
{
	struct buffer *b = to_buffer(dmabuf);
	struct attachment *a;
	int err;

	if (buffer_check(dmabuf) < 0 || direction_check(usage) < 0)
		return NULL;
	if (!dev)
		return dmabuf_fail_ptr(EINVAL, "no device (NULL) to attach");
	a = attachment_new(dmabuf, dev, usage);
	if (!a)
		return NULL;
	err = attach(b, a);
	if (err) {
		attachment_free(a);
		errno = -err;
		return NULL;
	}
	err = registry_add_attachment(a);
	if (!err) {
		err = question_storage(b, a);
		if (err)
			registry_remove_attachment(a);
	}
	if (err) {
		detach(b, a);
		/* Without it the storage may suit everybody again. */
		(void)storage_suits(b);
		errno = -err;
		return NULL;
	}
	return &a->base;
}

DMABUF_PUBLIC struct dma_buf_attachment *dma_buf_attach(struct dma_buf *dmabuf,
							struct dma_buf_device *dev)
{
	return dma_buf_attach_for(dmabuf, dev, DMA_BIDIRECTIONAL);
}

static void release_entry(struct buffer *b, struct attachment *a)
{
	struct shm_attachment *entry = attachment_entry(a);
	uint64_t mine = CLIENT_OWNER(b->client.slot, b->client.generation);

	atomic_compare_exchange_strong(&entry->owner, &mine, 0);
}

/*
 * The attachment is no longer known, so detaching cannot stop half-way: it waits for the process's
 * own threads (unless it is called from inside the exporter's attach or detach, which have the list
 * locked), and goes on if another process does not let go of the shared lock, because the entry is
 * our own.
 */
static void detach(struct buffer *b, struct attachment *a)
{
	bool nested, shared;

	attachment_unmap_all(a);
	nested = pthread_mutex_lock(&b->list_mutex) == EDEADLK;
	shared = !nested && lock_list(&b->client, &b->control) == 0;
	unlink_attachment(b, a);
	if (b->base.ops->detach)
		b->base.ops->detach(&b->base, &a->base);
	release_entry(b, a);
	if (shared)
		unlock_list(&b->client, &b->control);
	if (!nested)
		pthread_mutex_unlock(&b->list_mutex);
	attachment_free(a);
}

/* Whoever detaches takes it from the device. */
static void check_mapped(struct attachment *a)
{
	bool mapped;

	pthread_mutex_lock(&a->map_lock);
	mapped = a->mappings;
	pthread_mutex_unlock(&a->map_lock);
	if (mapped)
		check_detach_mapped(&a->base);
}

DMABUF_PUBLIC void dma_buf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct attachment *a = (struct attachment *)attach;

	if (buffer_check(dmabuf) < 0 || attachment_check(attach) < 0)
		return;
	if (attach->dmabuf != dmabuf) {
		dmabuf_fail(EINVAL, "detach: the attachment belongs to another buffer");
		return;
	}
	registry_remove_attachment(a);
	check_mapped(a);
	detach(to_buffer(dmabuf), a);
}

void attachments_end(struct buffer *b)
{
	struct attachment *a;

	while ((a = b->attachments)) {
		registry_remove_attachment(a);
		check_mapped(a);
		detach(b, a);
	}
}

void attachments_forget(struct buffer *b)
{
	struct attachment *a;
	struct mapping *m;

	while ((a = b->attachments)) {
		/* What was freed has left the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		registry_remove_attachment(a);
		unlink_attachment(b, a);
		while ((m = a->mappings)) {
			a->mappings = m->next;
			free(m);
		}
		free(a);
	}
}
