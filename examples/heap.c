// SPDX-License-Identifier: MIT
/*
 * A heap of one's own: memory set aside at the start, so that getting it cannot fail later, as long
 * as it lasts: `heap 2` sets aside 2 MiB and then asks for 1 MiB three times.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <dmabuf.h>

#define PIECE (1 << 20)
#define MOST 16

struct reserve {
	pthread_mutex_t lock; /* the library's threads may ask, for other processes */
	unsigned int left;
	int pieces[MOST];
};

static int describe(struct dma_buf_heap_info *info, void *priv)
{
	struct reserve *r = priv;
	unsigned int left;

	pthread_mutex_lock(&r->lock);
	left = r->left;
	pthread_mutex_unlock(&r->lock);
	info->chunk = info->alignment = info->granule = 4096;
	info->max_size = PIECE;
	info->cost = 5; /* cheaper than ordinary memory, so it comes first */
	info->page_backed = info->cpu_mappable = info->zeroed = true;
	info->available = left > 0;
	snprintf(info->where, sizeof(info->where), "%u pieces left", left);
	return 0;
}

/* What is given belongs to the buffer, and goes with it. */
static int alloc(uint64_t size, void *priv)
{
	struct reserve *r = priv;
	int fd = -ENOMEM;

	pthread_mutex_lock(&r->lock);
	if (r->left)
		fd = r->pieces[--r->left];
	pthread_mutex_unlock(&r->lock);
	return fd;
}

/* Memory that can be sealed, so that other processes may rely on it, and that is there already. */
static int set_aside(struct reserve *r, unsigned int count)
{
	for (; r->left < count; r->left++) {
		int fd = memfd_create("reserve", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

		if (fd < 0)
			return errno;
		r->pieces[r->left] = fd;
		err = posix_fallocate(fd, 0, PIECE);
		if (err)
			return err;
	}
	return 0;
}

static int take_one(const struct dma_buf_request *request)
{
	struct dma_buf_negotiation answer = { .struct_size = sizeof(answer) };
	struct dma_buf_allocation made = { .size = sizeof(made) };
	int fd = -1;

	if (dma_buf_negotiate(request, &answer) > 0)
		fd = dma_buf_negotiation_alloc(&answer, "frame", &made);
	if (fd < 0)
		fprintf(stderr, "heap: %s\n", dmabuf_last_error());
	else
		printf("1 MiB from %s\n",
		       answer.heap_names[answer.alternatives[made.alternative].heap]);
	return fd;
}

int main(int argc, char **argv)
{
	static struct reserve reserve = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct dma_buf_heap_ops ops = { .size = sizeof(ops),
					.name = "reserve",
					.describe = describe,
					.alloc = alloc,
					.priv = &reserve };
	struct dma_buf_participant cpu = { .device = dma_buf_cpu_device() };
	struct dma_buf_request request = { .struct_size = sizeof(request),
					   .size = PIECE,
					   .participants = &cpu,
					   .participant_count = 1 };
	unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : 2;

	if (count > MOST || set_aside(&reserve, count) || dma_buf_register_heap(&ops)) {
		fprintf(stderr, "heap: cannot set %u MiB aside\n", count);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < 3; i++)
		if (take_one(&request) < 0)
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
