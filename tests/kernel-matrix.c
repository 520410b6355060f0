// SPDX-License-Identifier: MIT
/*
 * Every maker of kernel dma-bufs, and everybody who can be given them: a picture goes through each
 * pair and is compared byte by byte. What a kernel, or a driver, refuses is looked at as well: it
 * must be the refusal that is expected, in words, and nothing may stay behind.
 *
 * vm/tests/55-matrix.sh makes the world that this needs.
 */
#include "kernel-matrix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"
#include "kernel-util.h"

const unsigned char *matrix_picture(void)
{
	static unsigned char bytes[PICTURE_SIZE];
	const char *path = getenv("MATRIX_PICTURE");
	int fd;

	if (!path)
		SKIP("no cameras: this runs in a VM (vm/tests/55-matrix.sh)");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_OK(fd);
	ASSERT_EQ(read(fd, bytes, sizeof(bytes)), PICTURE_SIZE);
	close(fd);
	return bytes;
}

const unsigned char *matrix_bytes(unsigned int seed)
{
	static uint64_t words[6][PICTURE_SIZE / 8];
	uint64_t x = seed;

	for (size_t i = 0; i < PICTURE_SIZE / 8; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		words[seed][i] = x;
	}
	return (const unsigned char *)words[seed];
}

void matrix_write(struct dma_buf *buf, const unsigned char *bytes)
{
	void *to = dma_buf_vmap(buf);

	ASSERT(to);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, PICTURE_SIZE, DMA_TO_DEVICE));
	memcpy(to, bytes, PICTURE_SIZE);
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, PICTURE_SIZE, DMA_TO_DEVICE));
	dma_buf_vunmap(buf, to);
}

void matrix_compare(struct dma_buf *buf, const unsigned char *bytes, const char *who)
{
	const unsigned char *seen = dma_buf_vmap(buf);
	size_t at = 0;

	ASSERT(seen);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, PICTURE_SIZE, DMA_FROM_DEVICE));
	if (memcmp(seen, bytes, PICTURE_SIZE) != 0) {
		while (seen[at] == bytes[at])
			at++;
		FAIL("%s: byte %zu is %02x, not %02x", who, at, seen[at], bytes[at]);
	}
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, PICTURE_SIZE, DMA_FROM_DEVICE));
	dma_buf_vunmap(buf, (void *)seen);
}

/* Why this must be refused, or NULL; @err is the errno. */
static const char *refusal(const struct exporter *e, const struct importer *i, int *err)
{
	if (i->kernel && e->ordinary && access("/dev/udmabuf", F_OK) < 0) {
		*err = i->only || i->take == vgem_prime.take ? ENODEV : EOPNOTSUPP;
		return "/dev/udmabuf";
	}
	if (i->only && i->only != e) {
		*err = EOPNOTSUPP;
		return "takes no buffers of others";
	}
	if (i->needs_one_piece && e->pieces == IN_PIECES) {
		*err = EFAULT;
		return "it may need it in one piece";
	}
	return NULL;
}

/* Both see the same bytes, or it is refused as it must be. */
static void exchange(const struct exporter *e, const struct importer *i, const struct memory *m)
{
	const unsigned char *fresh = e->expose ? matrix_picture() : matrix_bytes(1);
	const char *words;
	int want = 0, err;

	words = refusal(e, i, &want);
	err = i->take(m, fresh);
	if (!err && !words) {
		test_note("%s -> %s: the same bytes", e->name, i->name);
		return;
	}
	if (err == -EFAULT && i->needs_one_piece && e->pieces == AS_IT_COMES)
		words = "it may need it in one piece";
	else
		ASSERT_EQ(err, -want);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), words);
	test_note("%s -> %s: refused, %s", e->name, i->name, dmabuf_last_error());
	matrix_compare(m->own, fresh, "after the refusal");
}

static void pair(const struct exporter *e, const struct importer *i)
{
	struct memory m = { 0 };
	long before;
	int err;

	(void)matrix_picture();
	before = kernel_count();
	err = e->make(&m);
	if (err) {
		ASSERT(e->missing);
		ASSERT_EQ(err, -ENODEV);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), e->missing);
		test_note("%s -> %s: no such memory, %s", e->name, i->name, dmabuf_last_error());
	} else {
		ASSERT(m.buf && m.own && m.buf->size >= MEMORY_SIZE);
		if (e->expose)
			e->expose(&m);
		else
			matrix_write(m.own, matrix_bytes(1));
		exchange(e, i, &m);
	}
	if (m.own != m.buf)
		dma_buf_put(m.own);
	dma_buf_put(m.buf);
	dma_buf_put(m.spare);
	dma_buf_device_put(m.maker);
	ASSERT_EQ(kernel_count(), before);
}

#define PAIR(e, i)                       \
	TEST(H1_memory_of_##e##_and_##i) \
	{                                \
		pair(&(e), &(i));        \
	}

#define ROW(e)                    \
	PAIR(e, camera)           \
	PAIR(e, camera_contig)    \
	PAIR(e, output)           \
	PAIR(e, output_contig)    \
	PAIR(e, vgem_prime)       \
	PAIR(e, virtio_gpu_prime) \
	PAIR(e, process)          \
	PAIR(e, disk)

ROW(native)
ROW(udmabuf)
ROW(heap)
ROW(vivid_vmalloc)
ROW(vivid_contig)
ROW(vgem)
ROW(virtio_gpu)
