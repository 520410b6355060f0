/* SPDX-License-Identifier: MIT */
/* Who makes memory, and who is given it: the two sides of tests/kernel-matrix.c. */
#ifndef DMABUF_TEST_KERNEL_MATRIX_H
#define DMABUF_TEST_KERNEL_MATRIX_H

#include <dmabuf.h>

#include <stdbool.h>
#include <stddef.h>

/* What v4l2-ctl read from a camera, a file that MATRIX_PICTURE names: NV12 of 720x480. */
#define PICTURE_WIDTH 720
#define PICTURE_HEIGHT 480
#define PICTURE_SIZE (PICTURE_WIDTH * PICTURE_HEIGHT * 3 / 2)
/* A picture in whole pages, as disks want it. */
#define MEMORY_SIZE ((size_t)(PICTURE_SIZE + 4095) / 4096 * 4096)

enum pieces { IN_ONE_PIECE, IN_PIECES, AS_IT_COMES };

/* Memory of one maker. */
struct memory {
	struct dma_buf *buf; /* what others are given */
	struct dma_buf *own; /* the same bytes as the maker sees them; may be the same buffer */
	struct dma_buf_device *maker;
	struct dma_buf *spare; /* a camera does not work with one buffer */
};

struct exporter {
	const char *name;
	/* 0, or -errno with words where this kernel has no such memory. */
	int (*make)(struct memory *m);
	/* The maker's device writes the camera's picture; NULL: it has none that writes. */
	void (*expose)(struct memory *m);
	bool ordinary; /* drivers need a dma-buf made of it */
	enum pieces pieces;
	const char *missing; /* words of @make */
};

struct importer {
	const char *name;
	/*
	 * Bytes through the importer, one way or both, compared. 0, or -errno with words if it does
	 * not take this memory, which then is as before. @fresh: the bytes that the maker put in.
	 */
	int (*take)(const struct memory *m, const unsigned char *fresh);
	bool kernel; /* a driver, which takes kernel dma-bufs only */
	bool needs_one_piece;
	const struct exporter *only; /* whose memory it takes */
};

extern const struct exporter native, udmabuf, heap, vivid_vmalloc, vivid_contig, vgem, virtio_gpu;
extern const struct importer camera, camera_contig, output, output_contig, vgem_prime,
	virtio_gpu_prime, process, disk;

/* A device of vivid's, or NULL. */
struct dma_buf_device *matrix_video(const char *name, enum dma_data_direction direction);

/* A video device with two buffers, or the same one twice. */
struct film {
	struct dma_buf_device *dev;
	enum dma_data_direction direction;
	struct dma_buf_attachment *attach[2];
	struct dma_buf_sg_table *table[2];
};
void film_open(struct film *f, const char *name, enum dma_data_direction direction,
	       enum dma_buf_v4l2_memory memory);
/* The driver gets @buf: 0 or -errno with words. */
int film_give(struct film *f, int index, struct dma_buf *buf);
/* Until the driver has given each back once. */
void film_run(struct film *f);
/* Stopped; the device stays. */
void film_end(struct film *f);

/* The picture, and bytes (seed 1 to 5) that are unlike it and each other. */
const unsigned char *matrix_picture(void);
const unsigned char *matrix_bytes(unsigned int seed);
void matrix_write(struct dma_buf *buf, const unsigned char *bytes);
/* Fails the test at the first byte that differs. */
void matrix_compare(struct dma_buf *buf, const unsigned char *bytes, const char *who);

#endif
