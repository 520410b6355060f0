// SPDX-License-Identifier: MIT
/* A first program: make a buffer, write, read back through the descriptor. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <dmabuf.h>

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, dmabuf_last_error());
	return 1;
}

int main(void)
{
	struct dma_buf *buf = dma_buf_alloc("greeting", 4096, O_RDWR), *again;
	char *text;
	int fd;

	if (!buf)
		return fail("dma_buf_alloc");
	if (dma_buf_begin_cpu_access(buf, 0, 6, DMA_TO_DEVICE) < 0)
		return fail("dma_buf_begin_cpu_access");
	text = (char *)dma_buf_vmap(buf);
	if (!text)
		return fail("dma_buf_vmap");
	memcpy(text, "hello", 6);
	dma_buf_vunmap(buf, text);
	dma_buf_end_cpu_access(buf, 0, 6, DMA_TO_DEVICE);

	fd = dma_buf_fd(buf, O_CLOEXEC);
	again = dma_buf_get(fd);
	if (again != buf)
		return fail("dma_buf_get");
	dma_buf_put(again);
	dma_buf_put(buf);
	if (pread(fd, (char[6]){ 0 }, 6, 0) != 6)
		return fail("pread");
	close(fd);
	printf("libdmabuf %s\n", dmabuf_version());
	return 0;
}
