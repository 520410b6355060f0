// SPDX-License-Identifier: MIT
/* Who is given memory that others made, and what he does with it. */
#include "kernel-matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/harness.h"
#include "kernel-util.h"

/* The camera writes; who made the memory sees its picture. */
static int film(const struct memory *m, const char *name)
{
	struct film f;
	int err;

	film_open(&f, name, DMA_FROM_DEVICE, DMA_BUF_V4L2_IMPORT);
	/* It may be there already. */
	err = film_give(&f, 0, m->buf);
	if (!err) {
		matrix_write(m->own, matrix_bytes(2));
		ASSERT_OK(film_give(&f, 1, m->buf));
		film_run(&f);
	}
	film_end(&f);
	dma_buf_device_put(f.dev);
	if (!err)
		matrix_compare(m->own, matrix_picture(), "what a camera wrote");
	return err;
}

static int take_camera(const struct memory *m, const unsigned char *fresh)
{
	return film(m, "vivid-002-vid-cap");
}

static int take_camera_contig(const struct memory *m, const unsigned char *fresh)
{
	return film(m, "vivid-003-vid-cap");
}

/* What the output shows goes through a wire to a camera, which has it in memory of its own. */
static void look(const char *name, const unsigned char *fresh)
{
	struct dma_buf *seen[2];
	struct film f;

	film_open(&f, name, DMA_FROM_DEVICE, DMA_BUF_V4L2_EXPORT);
	for (int i = 0; i < 2; i++) {
		seen[i] = dma_buf_v4l2_alloc(f.dev, "seen");
		ASSERT(seen[i]);
		ASSERT_OK(film_give(&f, i, seen[i]));
	}
	film_run(&f);
	film_end(&f);
	for (int i = 0; i < 2; i++) {
		matrix_compare(seen[i], fresh, "what an output showed");
		dma_buf_put(seen[i]);
	}
	dma_buf_device_put(f.dev);
}

static int show(const struct memory *m, const unsigned char *fresh, const char *name,
		const char *eye)
{
	struct film f;
	int err;

	film_open(&f, name, DMA_TO_DEVICE, DMA_BUF_V4L2_IMPORT);
	err = film_give(&f, 0, m->buf);
	if (!err) {
		ASSERT_OK(film_give(&f, 1, m->buf));
		ASSERT_OK(dma_buf_v4l2_start(f.dev));
		look(eye, fresh);
	}
	film_end(&f);
	dma_buf_device_put(f.dev);
	return err;
}

static int take_output(const struct memory *m, const unsigned char *fresh)
{
	return show(m, fresh, "vivid-004-vid-out", "vivid-004-vid-cap");
}

static int take_output_contig(const struct memory *m, const unsigned char *fresh)
{
	return show(m, fresh, "vivid-005-vid-out", "vivid-005-vid-cap");
}

/* The driver's handle, and what it exports of it, which is the same memory in both directions. */
static int import(const struct memory *m, const unsigned char *fresh, const char *driver)
{
	struct dma_buf_device *card = find_card(driver);
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf *seen;
	uint32_t handle;
	int err;

	ASSERT(card);
	attach = dma_buf_attach(m->buf, card);
	ASSERT(attach);
	table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	ASSERT(table);
	err = dma_buf_drm_import(attach, table, DMA_BIDIRECTIONAL, &handle);
	if (!err) {
		seen = dma_buf_drm_export(card, handle);
		ASSERT(seen);
		matrix_compare(seen, fresh, "what a card has");
		matrix_write(seen, matrix_bytes(3));
		matrix_compare(m->own, matrix_bytes(3), "what was written to a card's");
		dma_buf_put(seen);
	}
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	dma_buf_detach(m->buf, attach);
	dma_buf_device_put(card);
	return err;
}

static int take_vgem(const struct memory *m, const unsigned char *fresh)
{
	return import(m, fresh, "vgem");
}

static int take_virtio_gpu(const struct memory *m, const unsigned char *fresh)
{
	return import(m, fresh, "virtio_gpu");
}

struct courier {
	int socket;
	const unsigned char *fresh;
};

static int other_process(void *arg)
{
	struct courier *c = arg;
	struct dma_buf *buf = dma_buf_recv(c->socket, 20000);

	ASSERT(buf);
	matrix_compare(buf, c->fresh, "what another process sees");
	matrix_write(buf, matrix_bytes(4));
	dma_buf_put(buf);
	return 0;
}

static int take_process(const struct memory *m, const unsigned char *fresh)
{
	struct courier c = { .fresh = fresh };
	int sockets[2];
	pid_t child;

	socket_pair(SOCK_SEQPACKET, sockets);
	c.socket = sockets[1];
	child = spawn(other_process, &c);
	ASSERT_OK(dma_buf_send(sockets[0], m->buf, 20000));
	ASSERT_EQ(reap(child), 0);
	close(sockets[0]);
	close(sockets[1]);
	matrix_compare(m->own, matrix_bytes(4), "what another process wrote");
	return 0;
}

static void transfer(struct dma_buf_device *dev, struct dma_buf_attachment *attach,
		     struct dma_buf_sg_table *table, enum dma_data_direction direction)
{
	struct dma_buf_block_completion done;

	ASSERT_OK(dma_buf_block_submit(attach, table, direction, 0, MEMORY_SIZE, 0, 1));
	ASSERT_EQ(dma_buf_block_reap(dev, &done, 1, 20000), 1);
	ASSERT_EQ(done.result, MEMORY_SIZE);
	ASSERT_OK(dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL));
}

/* To a disk, which plain reads look at; and what plain writes put there, back. */
static int take_disk(const struct memory *m, const unsigned char *fresh)
{
	static unsigned char seen[PICTURE_SIZE];
	struct dma_buf_block_info info = { .size = sizeof(info) };
	int fd = open("/dev/ram0", O_RDWR | O_CLOEXEC);
	struct dma_buf_attachment *attach;
	struct dma_buf_device *dev;
	struct dma_buf_sg_table *table;

	ASSERT_OK(fd);
	dev = dma_buf_block_open(fd, NULL, NULL);
	ASSERT(dev);
	attach = dma_buf_attach(m->buf, dev);
	ASSERT(attach);
	table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	ASSERT(table);
	transfer(dev, attach, table, DMA_TO_DEVICE);
	ASSERT_EQ(pread(fd, seen, PICTURE_SIZE, 0), PICTURE_SIZE);
	ASSERT(!memcmp(seen, fresh, PICTURE_SIZE));
	ASSERT_EQ(pwrite(fd, matrix_bytes(5), PICTURE_SIZE, 0), PICTURE_SIZE);
	ASSERT_OK(fsync(fd));
	ASSERT_OK(dma_buf_sync_sg_for_device(attach, table, DMA_BIDIRECTIONAL));
	transfer(dev, attach, table, DMA_FROM_DEVICE);
	ASSERT_OK(dma_buf_block_get_info(dev, &info));
	test_note("to and from a disk %s", info.bounced ? "through the page cache" : "direct");
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	dma_buf_detach(m->buf, attach);
	dma_buf_device_put(dev);
	close(fd);
	matrix_compare(m->own, matrix_bytes(5), "what came from a disk");
	return 0;
}

const struct importer camera = { .name = "camera, vmalloc", .take = take_camera, .kernel = true };
const struct importer camera_contig = { .name = "camera, dma-contig",
					.take = take_camera_contig,
					.kernel = true,
					.needs_one_piece = true };
const struct importer output = { .name = "output, vmalloc", .take = take_output, .kernel = true };
const struct importer output_contig = { .name = "output, dma-contig",
					.take = take_output_contig,
					.kernel = true,
					.needs_one_piece = true };
const struct importer vgem_prime = { .name = "vgem", .take = take_vgem, .kernel = true };
const struct importer virtio_gpu_prime = {
	.name = "virtio-gpu", .take = take_virtio_gpu, .kernel = true, .only = &virtio_gpu
};
const struct importer process = { .name = "another process", .take = take_process };
const struct importer disk = { .name = "disk", .take = take_disk };
