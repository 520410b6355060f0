// SPDX-License-Identifier: MIT
/* Who makes memory that others are given. */
#include "kernel-matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "harness/harness.h"
#include "kernel-util.h"

/* Every other page first: so they are not in one piece. */
static struct dma_buf *ordinary_memory(void)
{
	struct dma_buf *buf = dma_buf_alloc("ordinary memory", MEMORY_SIZE, O_RDWR);
	volatile char *bytes = dma_buf_vmap(buf);

	ASSERT(bytes);
	for (size_t first = 0; first < 8192; first += 4096)
		for (size_t at = first; at < MEMORY_SIZE; at += 8192)
			bytes[at] = 0;
	dma_buf_vunmap(buf, (void *)bytes);
	return buf;
}

static int make_native(struct memory *m)
{
	m->own = m->buf = ordinary_memory();
	return 0;
}

static struct dma_buf *adopt(int fd)
{
	struct dma_buf *buf = dma_buf_get(fd);

	ASSERT(buf);
	close(fd);
	return buf;
}

static int make_udmabuf(struct memory *m)
{
	int fd;

	m->own = ordinary_memory();
	fd = dma_buf_kernel_fd(m->own, O_CLOEXEC);
	if (fd < 0)
		return fd;
	m->buf = adopt(fd);
	ASSERT(m->buf != m->own);
	return 0;
}

static int make_heap(struct memory *m)
{
	int fd = dma_buf_heap_alloc("dma_heap/system", "a heap's", MEMORY_SIZE);

	if (fd < 0)
		return fd;
	m->own = m->buf = adopt(fd);
	return 0;
}

static int make_vivid(struct memory *m, const char *name)
{
	struct film f;

	film_open(&f, name, DMA_FROM_DEVICE, DMA_BUF_V4L2_EXPORT);
	m->maker = f.dev;
	m->own = m->buf = dma_buf_v4l2_alloc(f.dev, "a camera's");
	m->spare = dma_buf_v4l2_alloc(f.dev, "a camera's other");
	ASSERT(m->buf && m->spare);
	return 0;
}

static int make_vivid_vmalloc(struct memory *m)
{
	return make_vivid(m, "vivid-000-vid-cap");
}

static int make_vivid_contig(struct memory *m)
{
	return make_vivid(m, "vivid-001-vid-cap");
}

static void film_own(struct memory *m)
{
	struct film f = { .dev = m->maker, .direction = DMA_FROM_DEVICE };

	ASSERT_OK(film_give(&f, 0, m->buf));
	ASSERT_OK(film_give(&f, 1, m->spare));
	film_run(&f);
	film_end(&f);
	matrix_compare(m->own, matrix_picture(), "what the camera wrote");
}

static int make_picture(struct memory *m, const char *driver)
{
	struct dma_buf_drm_picture picture = {
		.size = sizeof(picture), .width = 1024, .height = 127, .bits_per_pixel = 32
	};

	m->maker = find_card(driver);
	ASSERT(m->maker);
	m->own = m->buf = dma_buf_drm_alloc(m->maker, &picture, "a card's");
	ASSERT(m->buf);
	return 0;
}

static int make_vgem(struct memory *m)
{
	return make_picture(m, "vgem");
}

static int make_virtio_gpu(struct memory *m)
{
	return make_picture(m, "virtio_gpu");
}

const struct exporter native = {
	.name = "ordinary memory", .make = make_native, .ordinary = true, .pieces = IN_PIECES
};
const struct exporter udmabuf = {
	.name = "udmabuf", .make = make_udmabuf, .pieces = IN_PIECES, .missing = "/dev/udmabuf"
};
const struct exporter heap = { .name = "dma_heap/system",
			       .make = make_heap,
			       .pieces = AS_IT_COMES,
			       .missing = "CONFIG_DMABUF_HEAPS" };
const struct exporter vivid_vmalloc = { .name = "vivid, vmalloc",
					.make = make_vivid_vmalloc,
					.expose = film_own,
					.pieces = AS_IT_COMES };
const struct exporter vivid_contig = { .name = "vivid, dma-contig",
				       .make = make_vivid_contig,
				       .expose = film_own,
				       .pieces = IN_ONE_PIECE };
const struct exporter vgem = { .name = "vgem", .make = make_vgem, .pieces = AS_IT_COMES };
const struct exporter virtio_gpu = { .name = "virtio-gpu",
				     .make = make_virtio_gpu,
				     .pieces = AS_IT_COMES };
