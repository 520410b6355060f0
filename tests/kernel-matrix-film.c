// SPDX-License-Identifier: MIT
/* Video devices of the matrix, by what they are called, and at work. */
#include "kernel-matrix.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"

#define NV12 0x3231564e

struct dma_buf_device *matrix_video(const char *name, enum dma_data_direction direction)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options),
						.output = direction == DMA_TO_DEVICE };
	struct dma_buf_device *dev = NULL;
	char path[64], seen[64];
	FILE *f;

	for (int i = 0; i < 32 && !dev; i++) {
		int fd;

		snprintf(path, sizeof(path), "/sys/class/video4linux/video%d/name", i);
		f = fopen(path, "re");
		if (!f)
			continue;
		seen[0] = '\0';
		(void)!fgets(seen, sizeof(seen), f);
		fclose(f);
		seen[strcspn(seen, "\n")] = '\0';
		if (strcmp(seen, name) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_OK(fd);
		dev = dma_buf_v4l2_open(fd, NULL, &options);
		close(fd);
	}
	return dev;
}

void film_open(struct film *f, const char *name, enum dma_data_direction direction,
	       enum dma_buf_v4l2_memory memory)
{
	struct dma_buf_v4l2_format format = { .size = sizeof(format),
					      .fourcc = NV12,
					      .width = PICTURE_WIDTH,
					      .height = PICTURE_HEIGHT };

	*f = (struct film){ .dev = matrix_video(name, direction), .direction = direction };
	ASSERT(f->dev);
	ASSERT_OK(dma_buf_v4l2_set_format(f->dev, &format));
	ASSERT_EQ(format.buffer_size, PICTURE_SIZE);
	ASSERT_OK(dma_buf_v4l2_request(f->dev, memory, 2));
}

int film_give(struct film *f, int index, struct dma_buf *buf)
{
	if (!f->attach[index]) {
		f->attach[index] = dma_buf_attach(buf, f->dev);
		ASSERT(f->attach[index]);
		f->table[index] = dma_buf_map_attachment(f->attach[index], f->direction);
		ASSERT(f->table[index]);
	}
	return dma_buf_v4l2_queue(f->attach[index], f->table[index],
				  f->direction == DMA_TO_DEVICE ? PICTURE_SIZE : 0, 0,
				  (uint64_t)index);
}

void film_run(struct film *f)
{
	struct dma_buf_v4l2_completion done;
	unsigned int seen = 0;

	ASSERT_OK(dma_buf_v4l2_start(f->dev));
	while (seen != 3) {
		ASSERT_EQ(dma_buf_v4l2_reap(f->dev, &done, 1, 20000), 1);
		ASSERT_EQ(done.result, 0);
		ASSERT_EQ(done.used, PICTURE_SIZE);
		seen |= 1u << done.cookie;
	}
}

void film_end(struct film *f)
{
	ASSERT_OK(dma_buf_v4l2_stop(f->dev));
	for (int i = 0; i < 2; i++) {
		struct dma_buf_attachment *attach = f->attach[i];

		if (!attach)
			continue;
		ASSERT_OK(dma_buf_unmap_attachment(attach, f->table[i], f->direction));
		dma_buf_detach(attach->dmabuf, attach);
		f->attach[i] = NULL;
	}
}
