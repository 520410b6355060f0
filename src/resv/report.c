// SPDX-License-Identifier: MIT
/* Who is in the way, in words; and which locks this process and thread have. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "process.h"
#include "registry.h"
#include "resv/resv.h"
#include "text.h"

/* How many of those in the way are named. */
#define NAMED 3

/* All holds of this process that have an entry, or had one; guarded by the registry's lock. */
static struct dmabuf_list holds = { &holds, &holds };
static uint64_t holds_cookie;

/* Numbers, and not addresses: those of an ended thread are used again. */
static _Atomic(uintptr_t) threads;
_Thread_local uintptr_t resv_self_number = RESV_SELF_NEW;

uintptr_t resv_self_new(void)
{
	resv_self_number = atomic_fetch_add(&threads, 1) + RESV_SELF_NEW + 1;
	return resv_self_number;
}

void resv_list_add(struct resv_hold *h)
{
	registry_lock();
	/* A child has none of its parent's. */
	if (holds_cookie != process_cookie())
		list_init(&holds);
	holds_cookie = process_cookie();
	list_add_before(&h->link, &holds);
	registry_unlock();
}

void resv_list_remove(struct resv_hold *h)
{
	registry_lock();
	list_remove(&h->link);
	registry_unlock();
}

bool resv_torn(const struct control *c)
{
	uint32_t count = resv_used(c), e;

	for (e = 0; e < count; e++) {
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);

		if (!(seen & RESV_LOCK) && resv_is_torn(seen))
			return true;
	}
	return false;
}

static enum dma_buf_access_state access_state(uint32_t e, uint64_t seen, const uint64_t *words)
{
	switch (resv_state(seen)) {
	case RESV_ARMED:
		return resv_word_names(words[seen & RESV_LOCK ? 1 : 0], e) ? DMA_BUF_ACCESS_HELD
									   : 0;
	case RESV_GRANTED:
		return DMA_BUF_ACCESS_HELD;
	case RESV_WAITING:
		return DMA_BUF_ACCESS_WAITING;
	case RESV_DRAINING:
		return DMA_BUF_ACCESS_DRAINING;
	case RESV_BROKEN:
		return DMA_BUF_ACCESS_LOST;
	case RESV_TORN:
		return DMA_BUF_ACCESS_TORN;
	default:
		return 0;
	}
}

/* Stamps are others' clocks, so they may be of any time. */
static uint64_t age_ms(uint64_t stamp)
{
	uint64_t now = clock_ns();

	return stamp && stamp < now ? (now - stamp) / 1000000u : 0;
}

/* What the entry stands for, as far as it makes sense. */
static void describe_use(const struct shm_resv_entry *entry, const struct shm_resv_label *label,
			 struct dma_buf_access_info *info)
{
	uint32_t note = info->lock ? 0 : atomic_load(&label->note);

	info->fence = note > 0 && note <= 1 + DMA_RESV_USAGE_READ;
	info->usage = info->fence ? (enum dma_resv_usage)(note - 1) : DMA_RESV_USAGE_KERNEL;
	info->context = info->lock && atomic_load(&entry->context);
}

bool resv_describe_entry(const struct control *c, uint32_t e, uint64_t seen,
			 const uint64_t state_words[SHM_RESV_STATES],
			 struct dma_buf_access_info *info)
{
	const struct shm_resv_entry *entry = resv_entry_line(c, e);
	const struct shm_resv_label *label = &c->resv->labels[e];
	enum dma_buf_access_state state = access_state(e, seen, state_words);
	uint64_t words[SHM_RESV_LABEL_LEN / 8];
	unsigned int i;

	if (!state)
		return false;
	for (i = 0; i < SHM_RESV_LABEL_LEN / 8; i++)
		words[i] = atomic_load_explicit(&label->text[i], memory_order_relaxed);
	text_copy_untrusted(info->label, sizeof(info->label), (const char *)words, sizeof(words));
	info->pid = (pid_t)atomic_load(&label->pid);
	info->state = state;
	info->write = resv_is_write(seen) || state == DMA_BUF_ACCESS_TORN;
	info->device = seen & RESV_DEVICE;
	info->lock = seen & RESV_LOCK;
	describe_use(entry, label, info);
	info->ticket = resv_in_queue(seen) ? resv_ticket(seen) : 0;
	info->start = atomic_load(&entry->start);
	info->length = atomic_load(&entry->length);
	info->age_ms = age_ms(atomic_load(&entry->stamp));
	info->waits_for = atomic_load(&entry->waits_for);
	return true;
}

int resv_get_torn(const struct resv_hold *h, struct dma_buf_access_info *info, unsigned int count)
{
	static const uint64_t no_words[SHM_RESV_STATES];
	uint32_t used = resv_used(h->control), e;
	struct dma_buf_access_info found;
	unsigned int torn = 0;

	for (e = 0; e < used; e++) {
		uint64_t seen = resv_load(&resv_entry_line(h->control, e)->word);

		if ((seen & RESV_LOCK) || !resv_is_torn(seen) ||
		    !resv_describe_entry(h->control, e, seen, no_words, &found))
			continue;
		found.holder = DMA_BUF_MAX_CLIENTS;
		if (torn < count)
			info[torn] = found;
		torn++;
	}
	return (int)torn;
}

/* In the way of an access of @kind? */
static bool in_the_way(const struct dma_buf_access_info *info, const struct resv_hold *h)
{
	return info->lock == (h->lock != 0) && info->state <= DMA_BUF_ACCESS_DRAINING &&
	       (info->write || (h->kind & RESV_WRITE));
}

static void buffer_words(const struct buffer *b, char *text, size_t size)
{
	char name[DMA_BUF_NAME_LEN];

	control_get_name(&b->control, name);
	snprintf(text, size, "\"%s\" (inode %" PRIu64 ")", name, b->key.inode);
}

static void waits_words(const struct resv_hold *h, uint64_t inode, char *text, size_t size)
{
	struct buffer_key key = { h->buffer->key.device, inode };
	char name[64];
	struct buffer *b;

	text[0] = '\0';
	if (!inode)
		return;
	snprintf(name, sizeof(name), "inode %" PRIu64, inode);
	registry_lock();
	b = registry_find(&key);
	if (b)
		buffer_words(b, name, sizeof(name));
	registry_unlock();
	snprintf(text, size, ", which itself waits for buffer %s", name);
}

/* Why one that is dead still keeps others waiting, if that is so. */
static const char *death_words(const struct resv_hold *h, uint32_t slot, bool device)
{
	int fd = h->buffer->client.fd;

	if (slot == h->buffer->client.slot || !device || client_alive(fd, slot) ||
	    !client_device_busy(fd, slot))
		return "";
	return ", which is dead, but whose device is not done,";
}

static int add_words(const struct resv_hold *h, const struct dma_buf_access_info *info,
		     uint32_t slot, char *text, size_t size)
{
	static const char *const states[] = { "", "has it", "waits for it",
					      "lost it, but its device is not done" };
	const char *dead = death_words(h, slot, info->device);
	char waits[160];
	int len;

	waits_words(h, info->waits_for, waits, sizeof(waits));
	len = snprintf(
		text, size, "%s (pid %d)%s %s to %s by %s since %" PRIu64 " ms%s", info->label,
		(int)info->pid, dead, states[*dead ? DMA_BUF_ACCESS_HELD : info->state],
		info->write ? "write" : "read", info->device ? "DMA" : "CPU", info->age_ms, waits);
	return len < (int)size ? len : (int)size - 1;
}

int resv_report(const struct resv_hold *h, int err, uint64_t waited_ns)
{
	const struct control *c = h->control;
	uint64_t words[SHM_RESV_STATES] = { resv_load(&resv_state_line(c, 0)->word),
					    resv_load(&resv_state_line(c, RESV_LOCK)->word) };
	uint32_t count = resv_used(c), e;
	struct dma_buf_access_info info;
	unsigned int found = 0;
	char text[700] = "", buffer[80];
	size_t len = 0;

	for (e = 0; e < count; e++) {
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);

		if (e == h->entry || !resv_describe_entry(c, e, seen, words, &info) ||
		    !in_the_way(&info, h))
			continue;
		if (++found > NAMED)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", len ? "; " : "");
		len += (size_t)add_words(h, &info, resv_slot(seen), text + len, sizeof(text) - len);
	}
	if (found > NAMED)
		snprintf(text + len, sizeof(text) - len, "; and %u more", found - NAMED);
	buffer_words(h->buffer, buffer, sizeof(buffer));
	return dmabuf_fail(err, "buffer %s could not be had to %s within %" PRIu64 " ms: %s",
			   buffer, h->kind & RESV_WRITE ? "write" : "read", waited_ns / 1000000u,
			   found ? text : "whoever had it is gone by now");
}

int resv_check_order(const struct resv_hold *h)
{
	const struct dmabuf_list *link;
	const struct buffer *at = NULL;

	registry_lock();
	for (link = holds.next; link != &holds && !at; link = link->next) {
		const struct resv_hold *other =
			container_of((struct dmabuf_list *)link, struct resv_hold, link);

		if (other == h ||
		    atomic_load_explicit(&other->thread, memory_order_relaxed) != resv_self() ||
		    !resv_busy(other) || other->lock != h->lock)
			continue;
		if (other->buffer == h->buffer || buffer_before(h->buffer, other->buffer))
			at = other->buffer;
	}
	registry_unlock();
	if (!at)
		return 0;
	if (at == h->buffer)
		return dmabuf_fail(EDEADLK, "this thread has the buffer already: it would wait for "
					    "itself");
	return dmabuf_fail(EDEADLK,
			   "this thread has buffer inode %" PRIu64 " and asks for inode %" PRIu64
			   ": buffers are taken in ascending order, or as one group",
			   at->key.inode, h->buffer->key.inode);
}
