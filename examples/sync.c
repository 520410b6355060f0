// SPDX-License-Identifier: MIT
/*
 * Two processes, one buffer: a writer fills it with one byte after the other, a reader looks at it
 * meanwhile and never sees two of them mixed. The order is always init, get, lock, access, unlock,
 * put, fini. See docs/sync.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dmabuf.h>

#define SIZE 65536
#define FRAMES 200

static int fail(const char *what)
{
	fprintf(stderr, "sync: %s: %s\n", what, dmabuf_last_error());
	return 1;
}

/* Every frame is @step further than the one before: 1 writes, 0 only looks. */
static int work(struct dma_buf *dmabuf, unsigned int access, int step)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, step ? "writer" : "reader");
	volatile unsigned char *bytes = dma_buf_vmap(dmabuf);
	int frame, torn = 0, err;
	size_t i;

	if (!sync || !bytes || dmabuf_sync_get(sync, dmabuf, access))
		return fail("cannot set up");
	for (frame = 0; frame < FRAMES; frame++) {
		err = dmabuf_sync_lock(sync);
		if (err && err != -EOWNERDEAD) /* that one: locked, but the writer died over it */
			return fail("cannot lock");
		for (i = 0; i < SIZE; i++)
			if (step)
				bytes[i] = (unsigned char)frame;
			else if (bytes[i] != bytes[0])
				torn = 1;
		if (dmabuf_sync_unlock(sync)) /* our lease was over: somebody else had it too */
			return fail("too slow");
	}
	dmabuf_sync_put(sync, dmabuf);
	dmabuf_sync_fini(sync);
	dma_buf_vunmap(dmabuf, (void *)bytes);
	return torn;
}

int main(void)
{
	struct dma_buf *dmabuf = dma_buf_alloc("example", SIZE, O_RDWR);
	int fd = dmabuf ? dma_buf_fd(dmabuf, O_CLOEXEC) : -1, status = 1;
	pid_t reader;

	if (fd < 0)
		return fail("cannot make a buffer");
	reader = fork();
	if (reader == 0) {
		/* Handles are a process's own; the descriptor is the buffer, however it came here.
		 */
		struct dma_buf *mine = dma_buf_get(fd);

		_exit(mine ? work(mine, DMA_BUF_ACCESS_R, 0) : fail("cannot get the buffer"));
	}
	if (work(dmabuf, DMA_BUF_ACCESS_W, 1) || waitpid(reader, &status, 0) < 0 || status)
		return 1;
	printf("%d frames written, %d looks at them, none torn\n", FRAMES, FRAMES);
	close(fd);
	dma_buf_put(dmabuf);
	return 0;
}
