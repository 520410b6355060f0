// SPDX-License-Identifier: MIT
/*
 * drm: a graphics driver. As a sink it imports each buffer once, and what it then has is looked at
 * through its own export: the checksum in the report is that of the driver's pictures.
 */
#include "drm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <dmabuf/drm.h>
#include <dmabuf/error.h>

#include "../command.h"
#include "wishes.h"

/* How long a frame's content may be on its way. */
#define FENCE_MS 60000

/* A buffer of the queue, with the driver since it came by first. */
struct slot {
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf *seen; /* what the driver has, as it exports it */
};

struct card {
	const struct element_context *context;
	struct dma_buf_device *dev;
	struct slot slots[DMABUF_QUEUE_MAX_BUFFERS]; /* by the frame's index */
	uint64_t frames, imports;
	uLong crc;
};

static struct card the_card;

static int fail(const struct card *c)
{
	return element_fail(c->context, "%s", dmabuf_last_error());
}

static void let_go(struct slot *slot)
{
	struct dma_buf *dmabuf;

	dma_buf_put(slot->seen);
	if (slot->attach) {
		dmabuf = slot->attach->dmabuf;
		if (slot->table)
			(void)dma_buf_unmap_attachment(slot->attach, slot->table, DMA_TO_DEVICE);
		dma_buf_detach(dmabuf, slot->attach);
		dma_buf_put(dmabuf);
	}
	memset(slot, 0, sizeof(*slot));
}

static int import(struct card *c, struct slot *slot, struct dma_buf *dmabuf)
{
	uint32_t handle;

	if (slot->attach && slot->attach->dmabuf == dmabuf)
		return 0;
	let_go(slot);
	slot->attach = dma_buf_attach(dmabuf, c->dev);
	if (!slot->attach)
		return -errno;
	/* The queue may drop it while it is attached here. */
	get_dma_buf(dmabuf);
	slot->table = dma_buf_map_attachment(slot->attach, DMA_TO_DEVICE);
	if (!slot->table)
		return -errno;
	if (dma_buf_drm_import(slot->attach, slot->table, DMA_TO_DEVICE, &handle) < 0)
		return -errno;
	slot->seen = dma_buf_drm_export(c->dev, handle);
	if (!slot->seen)
		return -errno;
	c->imports++;
	return 0;
}

static int look_at(struct card *c, struct dma_buf *seen, uint64_t used)
{
	const void *bytes = dma_buf_vmap(seen);
	int err;

	if (!bytes)
		return -errno;
	err = used > seen->size ? -EMSGSIZE
				: dma_buf_begin_cpu_access(seen, 0, used, DMA_FROM_DEVICE);
	if (!err) {
		c->crc = crc32_z(c->crc, bytes, used);
		err = dma_buf_end_cpu_access(seen, 0, used, DMA_FROM_DEVICE);
	}
	dma_buf_vunmap(seen, (void *)bytes);
	return err;
}

static int take_all(struct card *c, struct element_context *context)
{
	struct dmabuf_frame frame;
	int got;

	while ((got = element_next(context, &frame, true)) > 0) {
		struct slot *slot = &c->slots[frame.index];

		if (dmabuf_queue_wait_fence(&frame, FENCE_MS) < 0 ||
		    import(c, slot, frame.dmabuf) < 0 || look_at(c, slot->seen, frame.used) < 0)
			return fail(c);
		c->frames++;
		if (element_pass(context, &frame) < 0)
			return -1;
	}
	return got;
}

static int run_drm(struct element_context *context)
{
	struct card *c = &the_card;
	char words[128];
	int err;

	if (context->element->role == ELEMENT_SOURCE)
		return drm_source_run(context);

	*c = (struct card){ .context = context, .crc = crc32_z(0, NULL, 0) };
	c->dev = dma_buf_drm_open(context->element->fd, NULL);
	if (!c->dev)
		return fail(c);
	err = take_all(c, context);
	if (dma_buf_drm_describe(c->dev, words, sizeof(words)) == 0)
		element_tell(context, "drm", "%s; %" PRIu64 " frames, %" PRIu64 " buffers imported",
			     words, c->frames, c->imports);
	element_tell(context, "crc32", "%08lx", c->crc);
	if (err == 0)
		err = element_finish(context);
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		let_go(&c->slots[i]);
	dma_buf_device_put(c->dev);
	c->dev = NULL;
	return err;
}

/* "name=N", of a source. */
static bool parse_wish(struct element *e, const char *name, const char *value)
{
	uint64_t number;

	if (!number_parse(value, UINT64_MAX - 1, &number) || !number)
		return false;
	if (!strcmp(name, "frames"))
		e->frames = number;
	else if (!strcmp(name, "fps") && number <= 1000)
		e->video.fps = number;
	else if (!strcmp(name, "crtc") && number <= UINT32_MAX)
		e->video.crtc = (uint32_t)number;
	else
		return false;
	return true;
}

static int parse_drm(struct element *e, const char *argument)
{
	static const struct wishes wishes = { "drm:/dev/dri/card0", "frames=N, fps=N or crtc=N",
					      parse_wish };

	return wishes_parse(e, argument, &wishes);
}

static const char *open_hint(int err)
{
	if (err == EACCES || err == EPERM)
		return " (members of the groups video and render may use it)";
	return err == ENOENT ? " (`dmabuf devices` lists those there are)" : "";
}

static int open_drm(struct element *e)
{
	struct dma_buf_device *dev;
	char who[160];

	element_describe(e, who, sizeof(who));
	e->fd = open(e->video.path, O_RDWR | O_CLOEXEC);
	if (e->fd < 0) {
		complain(e->command, "%s: cannot open it: %s%s", who, strerror(errno),
			 open_hint(errno));
		return -1;
	}
	dev = dma_buf_drm_open(e->fd, NULL);
	if (!dev)
		complain(e->command, "%s: %s", who, dmabuf_last_error());
	dma_buf_device_put(dev);
	return dev ? 0 : -1;
}

const struct element_class drm_class = {
	.prefix = "drm:",
	.roles = ROLE(ELEMENT_SOURCE) | ROLE(ELEMENT_SINK),
	.max_buffers = DMABUF_QUEUE_MAX_BUFFERS,
	.prepare = drm_source_prepare,
	.parse = parse_drm,
	.open = open_drm,
	.run = run_drm,
};
