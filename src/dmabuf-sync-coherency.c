// SPDX-License-Identifier: MIT
/*
 * Row D6: what a grant and the end of a hold ask of the coherency core, of a buffer that some
 * non-coherent device was at. The lock only asks; which operation is needed, if any, is decided by
 * what was accessed last, and by whom (ownership.h).
 *
 * A hold of a DMA type is an access of this process's devices: of those that do not share the CPU's
 * caches through their mappings, of all others as if the CPU did it.
 */
#include "attachment.h"
#include "check/lease.h"
#include "dmabuf-sync.h"
#include "kernel/hold.h"
#include "ownership.h"
#include "storage-pin.h"

static bool writes(const struct sync_member *m)
{
	return m->type & DMA_BUF_ACCESS_W;
}

/* A writer may also read. */
static enum dma_data_direction as_cpu(const struct sync_member *m)
{
	return writes(m) ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
}

static int cpu_begin(struct sync_member *m)
{
	struct buffer *b = m->hold.buffer;
	int err = b->storage.ops->keep(&b->storage);

	return err ? err : ownership_cpu_begin(b, m->start, m->len, as_cpu(m));
}

/* The CPU itself, for which the storage may have to do something too. */
static int cpu_begin_itself(struct sync_member *m)
{
	struct storage *s = &m->hold.buffer->storage;
	int err = storage_begin(s, m->start, m->len, as_cpu(m));

	if (err)
		return err;
	err = cpu_begin(m);
	if (err)
		(void)storage_end(s, m->start, m->len, as_cpu(m));
	else
		check_hold_begin(m, as_cpu(m));
	return err;
}

static int device_begin(struct sync_member *m)
{
	bool ignored;
	int err = attachments_lend(m->hold.buffer, writes(m), &m->as_cpu);

	if (err || !m->as_cpu)
		return err;
	err = cpu_begin(m);
	if (err)
		(void)attachments_take_back(m->hold.buffer, true, &ignored);
	return err;
}

int sync_coherency_begin(struct sync_member *m)
{
	int err;

	err = storage_access_begin(m->hold.buffer, STORAGE_LOCKED);
	if (err)
		return err;
	/* Somebody died with the buffer in hand: what is known of that now need not be guessed. */
	if (m->hold.told)
		ownership_recover(m->hold.buffer);
	err = m->type & DMA_BUF_ACCESS_DMA ? device_begin(m) : cpu_begin_itself(m);
	m->begun = !err;
	if (!err)
		kernel_hold_begin(m);
	else
		storage_access_end(m->hold.buffer);
	return err;
}

static int cpu_end(struct sync_member *m)
{
	return ownership_cpu_end(m->hold.buffer, m->start, m->len, as_cpu(m));
}

static int cpu_end_itself(struct sync_member *m)
{
	int err = cpu_end(m);
	int err_storage =
		m->begun ? storage_end(&m->hold.buffer->storage, m->start, m->len, as_cpu(m)) : 0;

	return err ? err : err_storage;
}

static int device_end(struct sync_member *m)
{
	bool coherent = true;
	int err = attachments_take_back(m->hold.buffer, m->begun, &coherent), err_cpu = 0;

	/* One that began before anybody kept track may have been either. */
	if (m->begun ? m->as_cpu : coherent)
		err_cpu = cpu_end(m);
	return err ? err : err_cpu;
}

int sync_coherency_end(struct sync_member *m)
{
	int err;

	check_hold_end(m);
	err = m->type & DMA_BUF_ACCESS_DMA ? device_end(m) : cpu_end_itself(m);
	if (m->begun)
		storage_access_end(m->hold.buffer);
	m->begun = false;
	/* What was written is there for whom the kernel lets in now. */
	kernel_hold_end(m);
	return err;
}
