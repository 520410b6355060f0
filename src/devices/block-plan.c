// SPDX-License-Identifier: MIT
/*
 * How a transfer is cut. Up to three spans: the unaligned bytes at both ends go through the page
 * cache, what is between them goes direct. Each span is made of requests, each of as many table
 * entries as the device takes; one request of a transfer is under way at a time.
 */
#include "block.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <dmabuf/error.h>

#include "error.h"

/* Most bytes in one request; the kernel's own limit is just below 2 GiB. */
#define MAX_REQUEST ((uint64_t)1 << 30)

/* A place in a region: @skip bytes into an entry. */
struct cursor {
	const struct dma_buf_scatterlist *sg, *end;
	uint64_t skip;
};

static void cursor_set(struct cursor *c, const struct block_region *region, uint64_t offset)
{
	c->sg = region->sgl;
	c->end = region->sgl + region->nents;
	while (c->sg < c->end && offset >= c->sg->dma_length)
		offset -= (c->sg++)->dma_length;
	c->skip = offset;
}

static uint64_t cursor_address(const struct cursor *c)
{
	return c->sg->dma_address + c->skip;
}

/* Take up to @room bytes, at most to the entry's end. */
static uint64_t cursor_take(struct cursor *c, uint64_t room)
{
	uint64_t length = c->sg->dma_length - c->skip;

	if (length > room) {
		c->skip += room;
		return room;
	}
	c->sg++;
	c->skip = 0;
	return length;
}

/* Where memory would go on if the entry just taken had a neighbour. */
static uint64_t address_after(const struct cursor *c)
{
	return c->skip ? cursor_address(c) : c->sg[-1].dma_address + c->sg[-1].dma_length;
}

/*
 * Can the bytes [from, to) of @t, whose place in the file is aligned, go direct? Each contiguous
 * piece of memory has to begin and end aligned.
 */
static bool memory_fits(const struct block_transfer *t, const struct block_limits *limits,
			uint64_t from, uint64_t to)
{
	uint64_t expected = 0, address, done = from;
	struct cursor c;

	cursor_set(&c, t->region, t->buffer_offset + from);
	while (done < to && c.sg < c.end) {
		address = cursor_address(&c);
		if (address != expected && (address % limits->memory_alignment ||
					    (done - from) % limits->offset_alignment))
			return false;
		done += cursor_take(&c, to - done);
		expected = address_after(&c);
	}
	return true;
}

static unsigned int count_pieces(const struct block_transfer *t)
{
	uint64_t expected = 0, left = t->length;
	unsigned int pieces = 0;
	struct cursor c;

	cursor_set(&c, t->region, t->buffer_offset);
	while (left && c.sg < c.end) {
		if (cursor_address(&c) != expected)
			pieces++;
		left -= cursor_take(&c, left);
		expected = address_after(&c);
	}
	return pieces;
}

static void add_span(struct block_transfer *t, uint64_t from, uint64_t to, bool direct)
{
	if (from < to)
		t->spans[t->nspans++] = (struct block_span){ from, to, direct };
}

static void cut(struct block_transfer *t, const struct block_limits *limits, bool direct)
{
	uint64_t align = t->write ? limits->write_alignment : limits->offset_alignment;
	uint64_t from = (t->file_offset + align - 1) / align * align;
	uint64_t to = (t->file_offset + t->length) / align * align;

	t->span = 0;
	t->nspans = 0;
	if (!direct || from >= to ||
	    !memory_fits(t, limits, from - t->file_offset, to - t->file_offset)) {
		add_span(t, 0, t->length, false);
		return;
	}
	from -= t->file_offset;
	to -= t->file_offset;
	add_span(t, 0, from, false);
	add_span(t, from, to, true);
	add_span(t, to, t->length, false);
}

bool block_plan(struct block_transfer *t, const struct block_limits *limits, bool direct)
{
	unsigned int room = count_pieces(t);

	t->retries = 0;
	t->finished = false;
	t->result = 0;
	atomic_store(&t->cancelled, false);
	t->iov = t->inline_iov;
	t->iov_room = BLOCK_INLINE_IOVECS;
	if (room > IOV_MAX)
		room = IOV_MAX;
	if (room > BLOCK_INLINE_IOVECS) {
		t->iov = calloc(room, sizeof(*t->iov));
		if (!t->iov)
			return false;
		t->iov_room = room;
	}
	cut(t, limits, direct);
	return true;
}

const struct block_span *block_copied_span(const struct block_transfer *t)
{
	for (unsigned int i = 0; i < t->nspans; i++)
		if (!t->spans[i].direct)
			return &t->spans[i];
	return NULL;
}

void block_plan_free(struct block_transfer *t)
{
	if (t->iov != t->inline_iov)
		free(t->iov);
	t->iov = NULL;
}

static uint32_t granule_of(const struct block_limits *limits, const struct block_span *span)
{
	if (!span->direct)
		return 1;
	return limits->memory_alignment > limits->offset_alignment ? limits->memory_alignment
								   : limits->offset_alignment;
}

static uint64_t end_of(const struct iovec *iov)
{
	return (uint64_t)(uintptr_t)iov->iov_base + iov->iov_len;
}

/*
 * Memory for one request from the span's position on: up to max_segments entries, neighbours
 * joined. Where that is not the whole span, it ends so that the next request can be direct too.
 */
static unsigned int gather(struct block_transfer *t, const struct block_limits *limits)
{
	const struct block_span *span = &t->spans[t->span];
	uint64_t granule = granule_of(limits, span), left = span->end - span->position;
	uint64_t most = left < MAX_REQUEST ? left : MAX_REQUEST, total = 0, length;
	unsigned int n = 0, entries = 0;
	struct iovec *last = NULL;
	struct cursor c;

	cursor_set(&c, t->region, t->buffer_offset + span->position);
	while (total < most && c.sg < c.end) {
		if (entries++ >= limits->max_segments && total >= granule)
			break;
		if (!last || end_of(last) != cursor_address(&c)) {
			if (n == t->iov_room)
				break;
			last = &t->iov[n++];
			last->iov_base = block_pointer(cursor_address(&c));
			last->iov_len = 0;
		}
		length = cursor_take(&c, most - total);
		last->iov_len += length;
		total += length;
	}
	if (last && total < left && c.sg < c.end && end_of(last) == cursor_address(&c)) {
		last->iov_len -= last->iov_len % granule;
		if (!last->iov_len)
			n--;
	}
	return n;
}

/* After a transfer that was cut short by the system: can the rest of the span still be direct? */
static bool still_aligned(const struct block_transfer *t, const struct block_limits *limits)
{
	const struct block_span *span = &t->spans[t->span];
	struct cursor c;

	cursor_set(&c, t->region, t->buffer_offset + span->position);
	return (t->file_offset + span->position) % limits->offset_alignment == 0 && c.sg < c.end &&
	       cursor_address(&c) % limits->memory_alignment == 0;
}

static void finish(struct block_transfer *t, int64_t result)
{
	t->result = result;
	t->finished = true;
}

bool block_next(struct block_device *b, struct block_transfer *t, struct block_request *request)
{
	const struct block_span *span = &t->spans[t->span];

	if (!t->finished && t->span == t->nspans)
		finish(t, t->result);
	if (!t->finished && atomic_load(&t->cancelled))
		finish(t, -ECANCELED);
	if (t->finished)
		return false;
	request->write = t->write;
	request->fd = span->direct ? b->direct_fd : b->buffered_fd;
	request->iov = t->iov;
	request->iovcnt = gather(t, &b->limits);
	request->offset = (off_t)(t->file_offset + span->position);
	atomic_fetch_add_explicit(&b->requests, 1, memory_order_relaxed);
	return true;
}

/* O_DIRECT was accepted by open() and is refused now: this file is buffered from here on. */
static void leave_direct(struct block_device *b, struct block_span *span)
{
	span->direct = false;
	atomic_store(&b->direct_failed, true);
	if (atomic_exchange(&b->direct, false))
		dmabuf_log(DMABUF_LOG_WARNING,
			   "block device: a direct transfer was refused (EINVAL), going on through "
			   "the page cache");
}

/*
 * EFAULT: a driver has mapped memory of its own there that has no pages which could be held. The
 * CPU can copy it all the same. If it cannot, the page cache says EFAULT, too.
 */
static void leave_unpinnable(struct block_device *b, struct block_transfer *t)
{
	t->spans[t->span].direct = false;
	atomic_store(&t->region->unpinnable, true);
	if (!atomic_exchange(&b->unpinnable, true))
		dmabuf_log(DMABUF_LOG_WARNING,
			   "block device: a buffer's memory cannot be used for direct transfers "
			   "(EFAULT), it goes through the page cache");
}

static void failed(struct block_device *b, struct block_transfer *t, int err)
{
	struct block_span *span = &t->spans[t->span];
	/* ECANCELED: io_uring drops what waits in the kernel when the thread that submitted ends.
	 */
	bool again = err == EAGAIN || err == EINTR || err == ECANCELED;

	if (err == EINVAL && span->direct && !t->zero_copy)
		leave_direct(b, span);
	else if (err == EFAULT && span->direct && !t->zero_copy)
		leave_unpinnable(b, t);
	else if (!again || ++t->retries > BLOCK_MAX_RETRIES)
		finish(t, -err);
}

void block_advance(struct block_device *b, struct block_transfer *t, int64_t result)
{
	struct block_span *span = &t->spans[t->span];

	if (result < 0) {
		failed(b, t, (int)-result);
		return;
	}
	if (!result) {
		/* A read is at the file's end; a write that moves nothing would never end. */
		finish(t, t->write ? -EIO : t->result);
		return;
	}
	t->retries = 0;
	t->result += result;
	span->position += (uint64_t)result;
	if (!span->direct)
		atomic_fetch_add_explicit(&b->bounced, (uint64_t)result, memory_order_relaxed);
	if (span->position >= span->end)
		t->span++;
	else if (span->direct)
		span->direct = still_aligned(t, &b->limits);
	if (t->zero_copy && t->span < t->nspans && !t->spans[t->span].direct)
		finish(t, t->result);
}
