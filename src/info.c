// SPDX-License-Identifier: MIT
/*
 * A look at a buffer from outside (mission row G1): a read-only view of the control block, copied
 * once and then checked.
 */
#include <dmabuf/info.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attachment-constraints.h"
#include "buffer.h"
#include "error.h"
#include "export.h"
#include "kernel/adopt.h"
#include "kernel/dmabuf.h"
#include "resv/resv.h"
#include "shm/client.h"
#include "storage-deferred.h"
#include "shm/parameters.h"
#include "text.h"

/* A private copy, taken through volatile words because holders go on writing meanwhile. */
struct snapshot {
	struct shm_header header;
	struct shm_attachment attachments[DMA_BUF_MAX_ATTACHMENTS];
	unsigned int holder_of_slot[DMA_BUF_MAX_CLIENTS];
	struct attachments_problem problem;
};

static void take_snapshot(struct snapshot *s, const struct control *c)
{
	control_copy(&s->header, c->header, sizeof(s->header));
	control_copy(s->attachments, c->attachments, sizeof(s->attachments));
}

static void fill_counters(struct dma_buf_counters *out, const struct shm_counters *in)
{
	out->cpu_access = atomic_load_explicit(&in->cpu_access, memory_order_relaxed);
	out->maps = atomic_load_explicit(&in->maps, memory_order_relaxed);
	out->cached_maps = atomic_load_explicit(&in->cached_maps, memory_order_relaxed);
	out->sync_needed = atomic_load_explicit(&in->sync_needed, memory_order_relaxed);
	out->sync_done = atomic_load_explicit(&in->sync_done, memory_order_relaxed);
	out->sync_skipped = atomic_load_explicit(&in->sync_skipped, memory_order_relaxed);
	out->recovered = atomic_load_explicit(&in->recovered, memory_order_relaxed);
	out->leases_lost = atomic_load_explicit(&in->leases_lost, memory_order_relaxed);
}

static void fill_holders(struct dma_buf_info *info, struct snapshot *s, const struct control *c,
			 int fd)
{
	struct dma_buf_holder_info *h;
	uint32_t slot;

	for (slot = 0; slot < DMA_BUF_MAX_CLIENTS; slot++) {
		struct shm_client *client = &s->header.clients[slot];

		s->holder_of_slot[slot] = DMA_BUF_MAX_CLIENTS;
		if (client->state == SHM_CLIENT_FREE)
			continue;
		s->holder_of_slot[slot] = info->holder_count;
		h = &info->holders[info->holder_count++];
		h->pid = (pid_t)client->pid;
		text_copy_untrusted(h->label, sizeof(h->label), client->label,
				    sizeof(client->label));
		h->alive = client_alive(fd, slot);
		h->exporter = slot == 0 && client->generation == s->header.exporter_generation;
		if (h->exporter && h->alive)
			info->exporter_alive = true;
		if (info->storage.deferred)
			h->storage_accesses = atomic_load(&c->storage->pins[slot].count);
	}
}

static void fill_storage(struct dma_buf_storage_info *out, const struct control *c, uint32_t flags)
{
	struct shm_storage_record record;
	uint64_t state;

	if (!(flags & SHM_DEFERRED))
		return;
	state = atomic_load(&c->storage->state);
	out->deferred = true;
	out->fixed = flags & SHM_FIXED;
	out->raw = atomic_load(&c->storage->out) & SHM_STORAGE_RAW;
	out->wanted = state & SHM_STORAGE_WANTED;
	out->awaited = state & SHM_STORAGE_QUEUED;
	out->moving = state & SHM_STORAGE_MOVING;
	out->generation = storage_generation(state);
	if (!storage_read_record(c, out->generation, &record))
		return;
	memcpy(out->heap, record.heap, sizeof(out->heap));
	for (; out->tried_count < record.tried_count; out->tried_count++) {
		memcpy(out->tried[out->tried_count].heap, record.tried[out->tried_count].heap,
		       sizeof(record.tried[0].heap));
		out->tried[out->tried_count].error = (int)record.tried[out->tried_count].err;
	}
}

static void fill_attachments(struct dma_buf_info *info, const struct snapshot *s)
{
	struct dma_buf_attachment_info *out;
	uint32_t i, slot;

	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++) {
		const struct shm_attachment *a = &s->attachments[i];

		slot = (uint32_t)a->owner - 1;
		if (!a->owner || slot >= DMA_BUF_MAX_CLIENTS ||
		    s->holder_of_slot[slot] == DMA_BUF_MAX_CLIENTS)
			continue;
		out = &info->attachments[info->attachment_count++];
		text_copy_untrusted(out->device, sizeof(out->device), a->device, sizeof(a->device));
		out->holder = s->holder_of_slot[slot];
		out->known = shm_parameters_read(&out->parameters, &a->parameters);
		out->usage = a->usage < DMA_NONE ? (enum dma_data_direction)a->usage : DMA_NONE;
		out->vouched = a->flags & SHM_ATTACHMENT_VOUCHED;
		out->mapped = a->mapped;
		out->direction =
			a->direction <= DMA_NONE ? (enum dma_data_direction)a->direction : DMA_NONE;
	}
}

/* Straight from the reservation's lines: they go around, and each word is read once. */
static void fill_accesses(struct dma_buf_info *info, const struct snapshot *s,
			  const struct control *c)
{
	uint64_t words[SHM_RESV_STATES] = { resv_load(&resv_state_line(c, 0)->word),
					    resv_load(&resv_state_line(c, RESV_LOCK)->word) };
	uint32_t count = resv_used(c), e;

	for (e = 0; e < count; e++) {
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);
		struct dma_buf_access_info *out = &info->accesses[info->access_count];

		if (!resv_describe_entry(c, e, seen, words, out))
			continue;
		out->holder = out->state == DMA_BUF_ACCESS_TORN
				      ? DMA_BUF_MAX_CLIENTS
				      : s->holder_of_slot[resv_slot(seen)];
		info->access_count++;
	}
}

static int describe(int fd, const struct stat *st, struct control *c, struct dma_buf_info *info)
{
	struct control_facts facts;
	struct snapshot *s;
	int err = control_read(c, (size_t)st->st_size, &facts);

	if (err)
		return err;
	s = aligned_alloc(_Alignof(struct snapshot), sizeof(*s));
	if (!s)
		return dmabuf_fail(ENOMEM, "no memory to describe a buffer");
	take_snapshot(s, c);
	memset(info, 0, sizeof(*info));
	info->struct_size = sizeof(*info);
	info->size = facts.size;
	info->inode = st->st_ino;
	control_get_name(c, info->name);
	memcpy(info->exp_name, facts.exp_name, sizeof(info->exp_name));
	info->read_only = facts.flags & SHM_READ_ONLY;
	info->split = facts.flags & SHM_SPLIT;
	if (facts.flags & SHM_KERNEL)
		info->inode = facts.payload_ino;
	fill_counters(&info->counters, &s->header.counters);
	s->header.exporter_generation = facts.exporter_generation;
	fill_storage(&info->storage, c, facts.flags);
	fill_holders(info, s, c, fd);
	info->exporter_alive |= (facts.flags & SHM_KERNEL) != 0;
	fill_attachments(info, s);
	fill_accesses(info, s, c);
	attachments_merge_info(info, &s->problem, &info->constraints);
	free(s);
	return 0;
}

static int look(int fd, int shown, struct dma_buf_info *info);

/* What the kernel says of one; who has it is known to those who do. */
static int look_at_kernel(int fd, int shown, struct dma_buf_info *info)
{
	struct kernel_facts facts;
	int err = kernel_describe(fd, shown, &facts), control = -1;

	if (err)
		return err;
	control = kernel_own_state(&facts);
	if (control >= 0) {
		err = look(control, shown, info);
		close(control);
		return err;
	}
	memset(info, 0, sizeof(*info));
	info->struct_size = sizeof(*info);
	info->size = facts.size;
	info->inode = facts.inode;
	memcpy(info->name, facts.name, sizeof(info->name));
	memcpy(info->exp_name, facts.exp_name, sizeof(info->exp_name));
	info->read_only = facts.mode == O_RDONLY;
	info->split = info->exporter_alive = true;
	return 0;
}

static int look(int fd, int shown, struct dma_buf_info *info)
{
	struct control c;
	struct stat st;
	int err;

	if (kernel_is_dmabuf(fd))
		return look_at_kernel(fd, shown, info);
	err = control_check_fd(fd, shown, &st);
	if (!err)
		err = control_map(&c, fd, (size_t)st.st_size, false, false);
	if (err)
		return err;
	err = describe(fd, &st, &c, info);
	control_unmap(&c);
	return err;
}

DMABUF_PUBLIC int dma_buf_get_info(int fd, struct dma_buf_info *info)
{
	int own, err;

	if (!info || info->struct_size != sizeof(*info))
		return dmabuf_fail(EINVAL, "buffer info: struct_size must be %zu", sizeof(*info));
	/* A copy of our own: what the caller's number means may change while we look. */
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return dmabuf_fail(errno, "duplicating descriptor %d failed: %s", fd,
				   strerror(errno));
	err = look(own, fd, info);
	close(own);
	return err;
}

DMABUF_PUBLIC int dma_buf_get_counters(struct dma_buf *dmabuf, struct dma_buf_counters *counters)
{
	int err = buffer_check(dmabuf);

	if (err)
		return err;
	if (!counters)
		return dmabuf_fail(EINVAL, "no counters (NULL) to fill");
	fill_counters(counters, &to_buffer(dmabuf)->control.header->counters);
	return 0;
}
