// SPDX-License-Identifier: MIT
/*
 * Files as DMA devices: transfers between file and buffers, several under way at a time. Each
 * buffer is attached and mapped when it is first used, and stays so until others need its place.
 */
#include "element.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <dmabuf/block.h>
#include <dmabuf/error.h>

#include "../command.h"

/* The end of one wait for a transfer; then it waits again, as any disk may be slow. */
#define REAP_MS 60000
/* What comes before the transfer, of a frame that came with a fence. */
#define FENCE_MS 60000

struct slot {
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dmabuf_frame frame;
	uint64_t length;
	bool busy;
	bool done;
};

struct transfer {
	struct element_context *context;
	struct dma_buf_device *dev;
	enum dma_data_direction direction;
	uint64_t size;	 /* of a file that is read */
	uint64_t offset; /* where the next transfer begins */
	struct slot slots[DMABUF_QUEUE_MAX_BUFFERS];
	uint32_t order[DMABUF_QUEUE_MAX_BUFFERS]; /* ring of slots: frames leave as they came */
	uint32_t first;
	uint32_t under_way; /* in the ring */
	uint32_t in_flight; /* of those, not done yet */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int fail_last(const struct transfer *t)
{
	return element_fail(t->context, "%s", dmabuf_last_error());
}

/* The file's last name, as far as a device's name may go. */
static void device_name(const struct element *element, char *name, size_t room)
{
	const char *slash = strrchr(element->argument, '/');

	snprintf(name, room, "%s", slash && slash[1] ? slash + 1 : element->argument);
	make_printable(name);
}

static int transfer_init(struct transfer *t, struct element_context *context,
			 enum dma_data_direction direction)
{
	struct dma_buf_block_options options = {
		.size = sizeof(options),
		.depth = DMABUF_QUEUE_MAX_BUFFERS,
	};
	struct dma_buf_block_info info = { .size = sizeof(info) };
	char name[DMA_BUF_DEVICE_NAME_LEN];

	device_name(context->element, name, sizeof(name));
	*t = (struct transfer){ .context = context, .direction = direction };
	t->dev = dma_buf_block_open(context->element->fd, name, &options);
	if (!t->dev || dma_buf_block_get_info(t->dev, &info) < 0)
		return fail_last(t);
	t->size = info.file_size;
	return 0;
}

/* The device takes the buffer over. */
static int give_to_device(struct transfer *t, struct slot *slot)
{
	if (slot->table) {
		if (dma_buf_sync_sg_for_device(slot->attach, slot->table, t->direction) < 0)
			return fail_last(t);
		return 0;
	}
	slot->attach = dma_buf_attach(slot->frame.dmabuf, t->dev);
	if (!slot->attach)
		return fail_last(t);
	/* The queue may drop it while it is attached here. */
	get_dma_buf(slot->frame.dmabuf);
	slot->table = dma_buf_map_attachment(slot->attach, t->direction);
	return slot->table ? 0 : fail_last(t);
}

static void let_go(struct transfer *t, struct slot *slot)
{
	struct dma_buf *dmabuf;

	if (!slot->attach)
		return;
	if (slot->table)
		(void)dma_buf_unmap_attachment(slot->attach, slot->table, t->direction);
	dmabuf = slot->attach->dmabuf;
	dma_buf_detach(dmabuf, slot->attach);
	dma_buf_put(dmabuf);
	slot->attach = NULL;
	slot->table = NULL;
}

/* The slot in which this buffer is attached, else one that can be had for it. */
static struct slot *find_slot(struct transfer *t, const struct dma_buf *dmabuf)
{
	struct slot *slot, *free = NULL;

	for (slot = t->slots; slot < t->slots + DMABUF_QUEUE_MAX_BUFFERS; slot++) {
		if (slot->busy)
			continue;
		if (slot->attach && slot->attach->dmabuf == dmabuf)
			return slot;
		if (!free || (free->attach && !slot->attach))
			free = slot;
	}
	if (free)
		let_go(t, free);
	return free;
}

static int start(struct transfer *t, const struct dmabuf_frame *frame, uint64_t length)
{
	struct slot *slot = find_slot(t, frame->dmabuf);
	uint32_t last = (t->first + t->under_way) % DMABUF_QUEUE_MAX_BUFFERS;
	uint32_t number;

	if (!slot)
		return element_fail(t->context, "more than %d transfers are under way",
				    DMABUF_QUEUE_MAX_BUFFERS);
	number = (uint32_t)(slot - t->slots);
	slot->frame = *frame;
	slot->length = length;
	slot->busy = true;
	slot->done = !length;
	t->order[last] = number;
	t->under_way++;
	if (!length)
		return 0;
	if (dmabuf_queue_wait_fence(frame, FENCE_MS) < 0)
		return fail_last(t);
	if (give_to_device(t, slot) < 0)
		return -1;
	if (dma_buf_block_submit(slot->attach, slot->table, t->direction, 0, length, t->offset,
				 number) < 0)
		return fail_last(t);
	t->offset += length;
	t->in_flight++;
	return 0;
}

static int complete(struct transfer *t, const struct dma_buf_block_completion *completion)
{
	struct slot *slot = &t->slots[completion->cookie];
	bool reads = t->direction == DMA_FROM_DEVICE;

	t->in_flight--;
	if (completion->result < 0)
		return element_fail(t->context, "cannot %s: %s", reads ? "read" : "write",
				    strerror((int)-completion->result));
	if ((uint64_t)completion->result != slot->length)
		return element_fail(t->context,
				    "%s %" PRId64 " bytes instead of %" PRIu64
				    ": the file became shorter meanwhile",
				    reads ? "read" : "wrote", completion->result, slot->length);
	if (dma_buf_sync_sg_for_cpu(slot->attach, slot->table, t->direction) < 0)
		return fail_last(t);
	slot->done = true;
	return 0;
}

/* Wait for transfers to end. */
static int reap(struct transfer *t)
{
	struct dma_buf_block_completion completions[DMABUF_QUEUE_MAX_BUFFERS];
	int count;

	do {
		count = dma_buf_block_reap(t->dev, completions, DMABUF_QUEUE_MAX_BUFFERS, REAP_MS);
	} while (count == -EINTR || count == -ETIMEDOUT);
	if (count < 0)
		return fail_last(t);
	for (int i = 0; i < count; i++)
		if (complete(t, &completions[i]) < 0)
			return -1;
	return 0;
}

/* Pass on what is done, in order. */
static int pass_done(struct transfer *t)
{
	while (t->under_way && t->slots[t->order[t->first]].done) {
		struct slot *slot = &t->slots[t->order[t->first]];
		struct dmabuf_frame *frame = &slot->frame;

		slot->busy = false;
		if (t->direction == DMA_FROM_DEVICE)
			frame->timestamp = now_ns();
		if (element_pass(t->context, frame) < 0)
			return -1;
		t->first = (t->first + 1) % DMABUF_QUEUE_MAX_BUFFERS;
		t->under_way--;
	}
	return 0;
}

static int tell_method(struct transfer *t)
{
	struct dma_buf_block_info info = { .size = sizeof(info) };
	char text[256];

	(void)dma_buf_block_describe(t->dev, text, sizeof(text));
	element_tell(t->context, "method", "%s", text);
	if (dma_buf_block_get_info(t->dev, &info) < 0)
		return fail_last(t);
	element_tell(t->context, "requests", "%" PRIu64, info.requests);
	element_tell(t->context, "bounced", "%" PRIu64 " bytes", info.bounced);
	return 0;
}

/* Until all that is under way has ended: the kernel must not write into a buffer that is gone. */
static void transfer_exit(struct transfer *t)
{
	while (t->in_flight) {
		struct dma_buf_block_completion completion;

		if (dma_buf_block_reap(t->dev, &completion, 1, 1000) != 1)
			break;
		t->in_flight--;
	}
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		let_go(t, &t->slots[i]);
	dma_buf_device_put(t->dev);
}

static int read_all(struct transfer *t)
{
	struct dmabuf_frame frame;
	uint64_t sequence = 0;
	int got;

	while (t->offset < t->size || t->under_way) {
		while (t->offset < t->size && t->under_way < DMABUF_QUEUE_MAX_BUFFERS) {
			uint64_t left = t->size - t->offset;

			got = element_next(t->context, &frame, !t->under_way);
			if (got == 2)
				break;
			if (got != 1)
				return -1;
			frame.used = frame.dmabuf->size < left ? frame.dmabuf->size : left;
			frame.sequence = sequence++;
			if (start(t, &frame, frame.used) < 0)
				return -1;
		}
		if (t->in_flight && reap(t) < 0)
			return -1;
		if (pass_done(t) < 0)
			return -1;
	}
	return 0;
}

static int write_all(struct transfer *t)
{
	struct dmabuf_frame frame;
	bool ended = false;
	int got;

	while (!ended || t->under_way) {
		while (!ended && t->under_way < DMABUF_QUEUE_MAX_BUFFERS) {
			got = element_next(t->context, &frame, !t->under_way);
			if (got == 2)
				break;
			if (got < 0)
				return -1;
			if (got == 0)
				ended = true;
			else if (start(t, &frame, frame.used) < 0)
				return -1;
			if (!t->in_flight)
				break;
		}
		if (t->in_flight && reap(t) < 0)
			return -1;
		if (pass_done(t) < 0)
			return -1;
	}
	return dma_buf_block_sync(t->dev) < 0 ? fail_last(t) : 0;
}

static int transfer(struct element_context *context, enum dma_data_direction direction,
		    int (*all)(struct transfer *t))
{
	static struct transfer t;
	int err = transfer_init(&t, context, direction);

	if (err == 0)
		err = all(&t);
	if (err == 0)
		err = tell_method(&t);
	if (err == 0)
		err = element_finish(context);
	transfer_exit(&t);
	return err;
}

int transfer_read(struct element_context *context)
{
	return transfer(context, DMA_FROM_DEVICE, read_all);
}

int transfer_write(struct element_context *context)
{
	return transfer(context, DMA_TO_DEVICE, write_all);
}
