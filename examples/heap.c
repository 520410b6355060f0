// SPDX-License-Identifier: MIT
/* A heap of one's own: files in a directory, say on persistent memory: `heap /mnt/pmem` */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <dmabuf.h>

static int describe(struct dma_buf_heap_info *info, void *priv)
{
	if (access(priv, W_OK) < 0)
		return -errno;
	info->chunk = info->alignment = info->granule = 4096;
	info->cost = 5; /* cheaper than ordinary memory, so it comes first */
	info->page_backed = info->cpu_mappable = info->zeroed = info->available = true;
	snprintf(info->where, sizeof(info->where), "%.100s", (const char *)priv);
	return 0;
}

static int alloc(uint64_t size, void *priv)
{
	int fd = open(priv, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), err = errno;

	if (fd >= 0)
		err = posix_fallocate(fd, 0, (off_t)size);
	if (err && fd >= 0)
		close(fd);
	return err ? -err : fd;
}

int main(int argc, char **argv)
{
	struct dma_buf_heap_ops ops = { .size = sizeof(ops),
					.name = "files",
					.describe = describe,
					.alloc = alloc,
					.priv = argc > 1 ? argv[1] : "." };
	struct dma_buf_participant cpu = { .device = dma_buf_cpu_device() };
	struct dma_buf_request request = { .struct_size = sizeof(request),
					   .size = 1 << 20,
					   .participants = &cpu,
					   .participant_count = 1 };
	struct dma_buf_negotiation answer = { .struct_size = sizeof(answer) };
	struct dma_buf_allocation made = { .size = sizeof(made) };
	int fd = -1;

	if (!dma_buf_register_heap(&ops) && dma_buf_negotiate(&request, &answer) > 0)
		fd = dma_buf_negotiation_alloc(&answer, "frame", &made);
	if (fd < 0)
		fprintf(stderr, "heap: %s\n", dmabuf_last_error());
	else
		printf("1 MiB from %s\n",
		       answer.heap_names[answer.alternatives[made.alternative].heap]);
	return fd < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
