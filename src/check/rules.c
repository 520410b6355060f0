// SPDX-License-Identifier: MIT
/* Calls that break a rule, and who else is at a buffer's bytes. */
#include "check/rules.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"
#include "device.h"
#include "process.h"
#include "resv/resv.h"
#include "storage-migrate.h"
#include "text.h"

#define FRAMES 24

const void *check_caller(void)
{
	void *frames[FRAMES];
	int count = backtrace(frames, FRAMES), i;
	Dl_info own, info;
	bool inside = false, is_own;

	if (!dladdr(&check_on, &own))
		return NULL;
	for (i = 0; i < count; i++) {
		is_own = dladdr(frames[i], &info) && info.dli_fbase == own.dli_fbase;
		if (inside && !is_own)
			return frames[i];
		inside |= is_own;
	}
	return NULL;
}

static bool conflict(const struct check_access *a, size_t start, size_t len, bool writes)
{
	return (a->writes || writes) && a->start < start + len && start < a->start + a->len;
}

/* The words of @t are complete but for the place. */
static void tell(struct dma_buf_check_report *report, struct check_text *t,
		 enum dma_buf_check_rule rule, const struct check_access *at)
{
	report->rule = rule;
	report->write = at->writes;
	report->offset = at->start;
	report->length = at->len;
	report->caller = at->caller ? at->caller : check_caller();
	check_say_place(t, report->caller);
	check_deliver(report);
}

/* Who holds it */

static bool in_the_way(const struct dma_buf_access_info *info, bool own, bool write)
{
	if (info->lock || (!info->write && !write) ||
	    (info->state != DMA_BUF_ACCESS_HELD && info->state != DMA_BUF_ACCESS_DRAINING))
		return false;
	/* Which waits for accesses to end, and lets them begin until then. */
	if (!strcmp(info->label, STORAGE_MIGRATION))
		return false;
	if (info->fence)
		return info->usage != DMA_RESV_USAGE_BOOKKEEP;
	/* A lock for the CPU of our own is what allows it. */
	return !own || info->device;
}

bool check_say_holder(struct check_text *t, const struct buffer *b, bool write)
{
	const struct control *c = &b->control;
	uint64_t words[SHM_RESV_STATES] = { resv_load(&resv_state_line(c, 0)->word),
					    resv_load(&resv_state_line(c, RESV_LOCK)->word) };
	uint32_t count = resv_used(c), e;

	for (e = 0; e < count; e++) {
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);
		struct dma_buf_access_info info;

		if (!resv_describe_entry(c, e, seen, words, &info) ||
		    !in_the_way(&info, resv_slot(seen) == b->client.slot, write))
			continue;
		check_say(t, ", while process ");
		check_say_who(t, info.label, info.pid);
		check_say(t, info.fence ? " has a fence that has not ended, of what "
					: " has locked it for what ");
		check_say(t, info.write ? "writes" : "reads");
		check_say(t, info.device ? " by DMA" : " by CPU");
		return true;
	}
	return false;
}

bool check_say_mapped(struct check_text *t, const struct buffer *b, bool write)
{
	char device[DMA_BUF_NAME_LEN];
	unsigned int i;

	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++) {
		const struct shm_attachment *a = &b->control.attachments[i];
		enum dma_data_direction dir = (enum dma_data_direction)atomic_load(&a->direction);
		uint32_t slot = (uint32_t)atomic_load(&a->owner) - 1;

		if (slot >= DMA_BUF_MAX_CLIENTS || !atomic_load(&a->mapped) ||
		    (dir == DMA_TO_DEVICE && !write))
			continue;
		text_copy_untrusted(device, sizeof(device), a->device, sizeof(a->device));
		check_say(t, ", while it is mapped for device ");
		check_say_who(t, device, (pid_t)b->control.header->clients[slot].pid);
		check_say(t, ", which ");
		check_say(t, check_device_words(dir));
		return true;
	}
	return false;
}

/* The first that is in the way of [start, +len), copied. */
static bool find_conflict(const struct check_buffer *c, size_t start, size_t len, bool writes,
			  bool device, struct check_access *found)
{
	const struct dmabuf_list *link;
	bool is = false;
	sigset_t old;

	check_lock(&old);
	for (link = c->accesses.next; link != &c->accesses && !is; link = link->next) {
		const struct check_access *a =
			container_of((struct dmabuf_list *)link, struct check_access, link);

		is = a->device == device && conflict(a, start, len, writes);
		if (is)
			*found = *a;
	}
	check_unlock(&old);
	return is;
}

/* Accesses of the CPU */

static void say_access(struct check_text *t, size_t start, size_t len,
		       enum dma_data_direction direction)
{
	check_say(t, "CPU access to ");
	check_say_range(t, start, len);
	check_say(t, " ");
	check_say(t, check_cpu_words(direction));
}

void check_begun(const struct check_buffer *c, size_t start, size_t len,
		 enum dma_data_direction direction)
{
	struct check_access at = { .start = start,
				   .len = len,
				   .writes = direction != DMA_FROM_DEVICE };
	struct dma_buf_check_report report;
	struct check_access other;
	struct check_text t;

	if (!len)
		return;
	check_describe(&report, &t, c->b);
	check_say(&t, "began ");
	say_access(&t, start, len, direction);
	if (find_conflict(c, start, len, at.writes, true, &other)) {
		check_say(&t, ", while ");
		check_say_access(&t, &other);
	} else if (!check_say_holder(&t, c->b, at.writes)) {
		return;
	}
	tell(&report, &t, DMA_BUF_CHECK_OWNER, &at);
}

/* One that has the same bytes, in another direction. */
static bool find_other(const struct check_buffer *c, size_t start, size_t len,
		       struct check_access *found)
{
	const struct dmabuf_list *link;
	bool is = false;
	sigset_t old;

	check_lock(&old);
	for (link = c->accesses.next; link != &c->accesses && !is; link = link->next) {
		const struct check_access *a =
			container_of((struct dmabuf_list *)link, struct check_access, link);

		is = !a->device && a->start == start && a->len == len;
		if (is)
			*found = *a;
	}
	check_unlock(&old);
	return is;
}

void check_bad_end(const struct buffer *b, size_t start, size_t len,
		   enum dma_data_direction direction)
{
	struct check_access at = { .start = start, .len = len };
	struct dma_buf_check_report report;
	struct check_access other;
	struct check_text t;
	bool is;

	if (!b->check)
		return;
	check_describe(&report, &t, b);
	check_say(&t, "ended ");
	say_access(&t, start, len, direction);
	is = find_other(b->check, start, len, &other);
	check_say(&t, is ? ", but what is open is " : " that was never begun, or ended before");
	if (is)
		check_say_access(&t, &other);
	tell(&report, &t, is ? DMA_BUF_CHECK_DIRECTION : DMA_BUF_CHECK_UNBALANCED, &at);
}

/* At the end of a process: somebody else's, who has not been asked whether he was done. */
static bool still_at_it(const struct check_access *a)
{
	return a->tid != gettid() && tgkill(getpid(), a->tid, 0) == 0;
}

/* Open ones of @c, or of all: number @n. With the lock. */
static bool pick(const struct check_buffer *only, unsigned int n, struct check_access *found,
		 struct dma_buf_check_report *report, struct check_text *t)
{
	struct dmabuf_list *link, *at;

	for (link = check_buffers.next; link != &check_buffers; link = link->next) {
		struct check_buffer *c = container_of(link, struct check_buffer, link);

		if ((only && c != only) || c->cookie != process_cookie())
			continue;
		for (at = c->accesses.next; at != &c->accesses; at = at->next) {
			const struct check_access *a = container_of(at, struct check_access, link);

			if (a->device || (!only && still_at_it(a)) || n--)
				continue;
			*found = *a;
			check_describe(report, t, c->b);
			return true;
		}
	}
	return false;
}

void check_left_open(const struct check_buffer *only, const char *when)
{
	struct dma_buf_check_report report;
	struct check_access found;
	struct check_text t;
	unsigned int n = 0;
	sigset_t old;
	bool is;

	for (;;) {
		check_lock(&old);
		is = pick(only, n++, &found, &report, &t);
		check_unlock(&old);
		if (!is)
			return;
		check_say(&t, when);
		check_say(&t, " ");
		check_say_access(&t, &found);
		tell(&report, &t, DMA_BUF_CHECK_UNBALANCED, &found);
	}
}

/* Devices */

static const struct check_buffer *checker(const struct dma_buf_attachment *attach)
{
	return ((const struct buffer *)attach->dmabuf)->check;
}

static void say_device(struct dma_buf_check_report *report, struct check_text *t,
		       const struct dma_buf_attachment *attach, const char *what)
{
	check_describe(report, t, (const struct buffer *)attach->dmabuf);
	check_say(t, what);
	check_say(t, " device ");
	check_say(t, attach->dev->name);
}

void check_bad_table(const struct dma_buf_attachment *attach, const char *what,
		     enum dma_data_direction direction, enum dma_data_direction mapped)
{
	struct check_access at = { .len = attach->dmabuf->size };
	struct dma_buf_check_report report;
	struct check_text t;

	if (!checker(attach))
		return;
	say_device(&report, &t, attach, what);
	check_say(&t, ", which ");
	check_say(&t, check_device_words(direction));
	if (mapped == DMA_NONE) {
		check_say(&t, ", of a table that it does not have");
	} else {
		check_say(&t, ", of a table with which it ");
		check_say(&t, check_device_words(mapped));
	}
	tell(&report, &t,
	     mapped == DMA_NONE || mapped == direction ? DMA_BUF_CHECK_UNBALANCED
						       : DMA_BUF_CHECK_DIRECTION,
	     &at);
}

void check_handed_over(const struct dma_buf_attachment *attach, enum dma_data_direction direction)
{
	const struct check_buffer *c = checker(attach);
	struct dma_buf_check_report report;
	struct check_access other;
	struct check_text t;

	if (!c ||
	    !find_conflict(c, 0, attach->dmabuf->size, direction != DMA_TO_DEVICE, false, &other))
		return;
	say_device(&report, &t, attach, "gave it to");
	check_say(&t, ", which ");
	check_say(&t, check_device_words(direction));
	check_say(&t, ", while the CPU is at it: ");
	check_say_access(&t, &other);
	other.caller = NULL;
	tell(&report, &t, DMA_BUF_CHECK_OWNER, &other);
}

void check_cpu_owns(const struct dma_buf_attachment *attach, enum dma_data_direction direction,
		    bool owns)
{
	struct check_buffer *c = to_buffer(attach->dmabuf)->check;

	if (c && owns)
		check_open(c, 0, attach->dmabuf->size, direction);
	else if (c)
		check_close(c, 0, attach->dmabuf->size, direction);
}

void check_detach_mapped(const struct dma_buf_attachment *attach)
{
	struct check_access at = { .len = attach->dmabuf->size };
	struct dma_buf_check_report report;
	struct check_text t;

	if (!checker(attach))
		return;
	say_device(&report, &t, attach, "detached");
	check_say(&t, ", which still had it mapped");
	tell(&report, &t, DMA_BUF_CHECK_UNBALANCED, &at);
}

struct check_access *check_transfer_begin(const struct dma_buf_attachment *attach,
					  enum dma_data_direction direction, size_t start,
					  size_t len)
{
	struct check_buffer *c = to_buffer(attach->dmabuf)->check;
	struct check_access *a = c ? malloc(sizeof(*a)) : NULL, other;
	struct dma_buf_check_report report;
	struct check_text t;
	sigset_t old;

	if (!a)
		return NULL;
	*a = (struct check_access){ .start = start,
				    .len = len,
				    .as = direction,
				    .writes = direction != DMA_TO_DEVICE,
				    .device = true };
	text_copy(a->who, sizeof(a->who), attach->dev->name);
	if (find_conflict(c, start, len, a->writes, false, &other)) {
		check_describe(&report, &t, c->b);
		check_say(&t, "started a transfer: ");
		check_say_access(&t, a);
		check_say(&t, ", while the CPU is at it: ");
		check_say_access(&t, &other);
		tell(&report, &t, DMA_BUF_CHECK_OWNER, a);
	}
	check_lock(&old);
	list_add_before(&a->link, &c->accesses);
	check_unlock(&old);
	return a;
}

void check_transfer_end(struct check_access *transfer)
{
	sigset_t old;

	if (!transfer)
		return;
	check_lock(&old);
	list_remove(&transfer->link);
	check_unlock(&old);
	free(transfer);
}
