// SPDX-License-Identifier: MIT
/*
 * Processes that hold a buffer in every way that `dmabuf ls` shows, for its tests: the exporter has
 * a fence in it and devices at it, "reader" waits for that, "locker" has the lock of the
 * reservation object. It says their processes when all is in place, and ends with its input.
 */
#include <dmabuf.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct dma_fence_lock fence_lock;

static const char *name(struct dma_fence *fence)
{
	(void)fence;
	return "camera\033[31m";
}

static const struct dma_fence_ops ops = { .get_driver_name = name, .get_timeline_name = name };

static void check(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "%s: %s\n", what, dmabuf_last_error());
	_exit(1);
}

/* Whoever started us closes the other end, or is gone. */
static void wait_for_end(void)
{
	char byte;

	while (read(0, &byte, 1) > 0)
		;
}

static int reader(struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "reader");
	int ret;

	check(dmabuf_sync_get_range(sync, dmabuf, DMA_BUF_ACCESS_R, 64, 128) == 0, "get");
	ret = dmabuf_sync_lock_timeout(sync, 60000);
	check(ret == 0 || ret == -EOWNERDEAD, "lock");
	wait_for_end();
	return 0;
}

static int locker(struct dma_buf *dmabuf)
{
	struct dmabuf_ww_acquire_ctx ctx;

	dmabuf_ww_acquire_init(&ctx, dma_resv_ww_class());
	check(dma_resv_lock(dmabuf->resv, &ctx) == 0, "dma_resv_lock");
	wait_for_end();
	return 0;
}

static pid_t start(int fd, int (*fn)(struct dma_buf *dmabuf))
{
	pid_t pid = fork();
	struct dma_buf *dmabuf;

	if (pid)
		return pid;
	dmabuf = dma_buf_get(fd);
	check(dmabuf, "dma_buf_get");
	_exit(fn(dmabuf));
}

static bool settled(int fd)
{
	static struct dma_buf_info info = { .struct_size = sizeof(info) };

	check(dma_buf_get_info(fd, &info) == 0, "info");
	return info.access_count == 3;
}

static void attach(struct dma_buf *dmabuf, const char *name,
		   const struct dma_buf_device_parameters *parameters,
		   enum dma_data_direction usage)
{
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .name = name,
					    .parameters = parameters };
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	check(dev && dma_buf_attach_for(dmabuf, dev, usage), "attach");
	dma_buf_device_put(dev);
}

static void attach_devices(struct dma_buf *dmabuf)
{
	struct dma_buf_device_parameters scanner = { .size = sizeof(scanner),
						     .max_segment_size = 65536,
						     .page_backed = true };
	struct dma_buf_device_parameters display = { .size = sizeof(display),
						     .max_segment_count = 16,
						     .dma_mask = UINT64_MAX >> 1 };

	snprintf(display.named[0].name, sizeof(display.named[0].name), "stride_alignment");
	display.named[0].rule = DMA_BUF_MERGE_MAX;
	display.named[0].value = 256;
	attach(dmabuf, "scanner", &scanner, DMA_FROM_DEVICE);
	attach(dmabuf, "display", &display, DMA_BIDIRECTIONAL);
}

int main(int argc, char **argv)
{
	struct dma_buf *dmabuf = dma_buf_alloc(argc > 1 ? argv[1] : "cast", 4096, O_RDWR);
	struct dma_fence *fence = malloc(sizeof(*fence));
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	pid_t children[2];

	dma_fence_init(fence, &ops, &fence_lock, dma_fence_context_alloc(1), 1);
	check(dma_resv_lock(dmabuf->resv, NULL) == 0, "lock");
	check(dma_resv_reserve_fences(dmabuf->resv, 1) == 0, "reserve");
	check(dma_resv_add_fence(dmabuf->resv, fence, DMA_RESV_USAGE_WRITE) == 0, "add");
	check(dma_resv_unlock(dmabuf->resv) == 0, "unlock");
	attach_devices(dmabuf);
	children[0] = start(fd, reader);
	children[1] = start(fd, locker);
	while (!settled(fd))
		usleep(1000);
	printf("%d %d %d\n", (int)getpid(), (int)children[0], (int)children[1]);
	fflush(stdout);
	wait_for_end();
	kill(children[0], SIGKILL);
	kill(children[1], SIGKILL);
	dma_fence_signal(fence);
	dma_fence_put(fence);
	close(fd);
	dma_buf_put(dmabuf);
	return 0;
}
