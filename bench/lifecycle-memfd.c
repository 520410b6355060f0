// SPDX-License-Identifier: MIT
#include "lifecycle.h"

#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "memfd.h"

static void owner(int buffers, int control, const struct lifecycle *l)
{
	int fd = memfd_make(l->size);
	void *memory = memfd_map(fd, l->size);
	char done;

	if (l->touch)
		bench_write_pages(memory, l->size);
	memfd_send(buffers, fd);
	bench_read(control, &done, 1);
	munmap(memory, l->size);
	close(fd);
}

static void peer(int buffers, int control, const struct lifecycle *l)
{
	int fd = memfd_recv(buffers);
	size_t size = memfd_check(fd);
	void *memory = memfd_map(fd, size);
	char done = 0;

	if (l->touch)
		bench_read_pages(memory, size);
	munmap(memory, size);
	close(fd);
	bench_write(control, &done, 1);
}

const struct lifecycle_kind lifecycle_memfd = { .owner = owner, .peer = peer };
