// SPDX-License-Identifier: MIT
/*
 * The bytes of a kernel dma-buf. The CPU's access needs the kernel's help, which alone knows which
 * of its devices use the memory and how: a sync ioctl when this process begins to read or to write,
 * and another when it ends. They are about the whole buffer, so an access inside of another of the
 * same kind needs none.
 */
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "kernel/abi.h"
#include "kernel/dmabuf.h"
#include "kernel/fence.h"
#include "kernel/storage.h"

/* How long a begin waits for the kernel's fences, and a sync that signals interrupt goes on. */
#define WAIT_NS 60000000000ull
#define END_NS 5000000000ull

struct kernel_access {
	pthread_mutex_t lock;
	struct control *control;
	unsigned int readers;
	unsigned int writers;
	unsigned int own_fences;
};

static uint64_t kinds_of(enum dma_data_direction direction)
{
	if (direction == DMA_TO_DEVICE)
		return DMABUF_ABI_SYNC_WRITE;
	return direction == DMA_FROM_DEVICE ? DMABUF_ABI_SYNC_READ
					    : DMABUF_ABI_SYNC_READ | DMABUF_ABI_SYNC_WRITE;
}

/* Of @kinds, those that nobody of this process is at. With the lock held. */
static uint64_t fresh(const struct kernel_access *a, uint64_t kinds)
{
	if (a->readers)
		kinds &= ~(uint64_t)DMABUF_ABI_SYNC_READ;
	if (a->writers)
		kinds &= ~(uint64_t)DMABUF_ABI_SYNC_WRITE;
	return kinds;
}

static void count(struct kernel_access *a, uint64_t kinds, unsigned int change)
{
	if (kinds & DMABUF_ABI_SYNC_READ)
		a->readers += change;
	if (kinds & DMABUF_ABI_SYNC_WRITE)
		a->writers += change;
}

static int tell(struct storage *s, uint64_t flags, uint64_t ns)
{
	struct kernel_access *a = s->access;
	int err;

	control_count(a->control, sync_needed, 1);
	err = kernel_sync(s->fd, flags, clock_ns() + ns);
	if (!err)
		control_count(a->control, sync_done, 1);
	return err;
}

static void skip(struct kernel_access *a)
{
	control_count(a->control, sync_skipped, 1);
}

unsigned int storage_kernel_own_fences(struct storage *s)
{
	unsigned int own;

	pthread_mutex_lock(&s->access->lock);
	own = s->access->own_fences;
	pthread_mutex_unlock(&s->access->lock);
	return own;
}

/* Is what keeps us waiting nothing but what this process put there for its own holds? */
static bool would_wait_for_itself(struct storage *s, bool write)
{
	unsigned int own = storage_kernel_own_fences(s);

	return own && kernel_pending(s->fd, write) <= own;
}

/* The kernel waits for fences in its sync, and without an end: so they are waited for before. */
static int wait_for_fences(struct storage *s, uint64_t kinds)
{
	bool write = kinds & DMABUF_ABI_SYNC_WRITE;
	int err = kernel_wait(s->fd, write, 0, false);

	if (err == -ETIMEDOUT && would_wait_for_itself(s, write))
		return dmabuf_fail(EDEADLK,
				   "a CPU access would wait for a lock of this process by a "
				   "device: give that back first");
	if (err == -ETIMEDOUT)
		err = kernel_wait(s->fd, write, clock_ns() + WAIT_NS, false);
	if (err == -ETIMEDOUT)
		return kernel_report(s->fd, write, ETIMEDOUT);
	return err ? dmabuf_fail(-err, "polling a kernel dma-buf failed: %s", strerror(-err)) : 0;
}

static int kernel_begin(struct storage *s, size_t start, size_t len,
			enum dma_data_direction direction)
{
	struct kernel_access *a = s->access;
	uint64_t kinds = kinds_of(direction), needed;
	int err = 0;

	pthread_mutex_lock(&a->lock);
	needed = fresh(a, kinds);
	if (needed) {
		/* Others may end meanwhile. */
		pthread_mutex_unlock(&a->lock);
		err = wait_for_fences(s, needed);
		pthread_mutex_lock(&a->lock);
		needed = fresh(a, kinds);
	}
	if (!err && needed)
		err = tell(s, DMABUF_ABI_SYNC_START | needed, WAIT_NS);
	else if (!err)
		skip(a);
	if (!err)
		count(a, kinds, 1);
	pthread_mutex_unlock(&a->lock);
	return err;
}

static int kernel_end(struct storage *s, size_t start, size_t len,
		      enum dma_data_direction direction)
{
	struct kernel_access *a = s->access;
	uint64_t kinds = kinds_of(direction), over;
	int err = 0;

	pthread_mutex_lock(&a->lock);
	count(a, kinds, -1u);
	over = fresh(a, kinds);
	if (over)
		err = tell(s, DMABUF_ABI_SYNC_END | over, END_NS);
	else
		skip(a);
	pthread_mutex_unlock(&a->lock);
	return err;
}

void storage_kernel_own_fence(struct storage *s, int change)
{
	pthread_mutex_lock(&s->access->lock);
	s->access->own_fences += (unsigned int)change;
	pthread_mutex_unlock(&s->access->lock);
}

static void *kernel_map(struct storage *s, size_t offset, size_t length, int prot)
{
	void *addr = mmap(NULL, length, prot, MAP_SHARED, s->fd, (off_t)offset);

	if (addr == MAP_FAILED)
		return dmabuf_fail_ptr(
			errno,
			"the kernel's exporter does not let the CPU map [%zu, +%zu): "
			"%s",
			offset, length, strerror(errno));
	return addr;
}

static int kernel_keep(struct storage *s)
{
	int prot = PROT_READ | (s->may_write ? PROT_WRITE : 0), err = 0;

	pthread_mutex_lock(&s->access->lock);
	if (!s->kept)
		storage_set_kept(s, map_for_us(s->fd, 0, page_round_up(s->size), prot));
	if (!s->kept)
		err = -errno;
	pthread_mutex_unlock(&s->access->lock);
	return err;
}

/* Who let go of the buffer with an access open has ended it by that. */
static void end_all(struct storage *s)
{
	struct kernel_access *a = s->access;
	uint64_t open = (a->readers ? DMABUF_ABI_SYNC_READ : 0u) |
			(a->writers ? DMABUF_ABI_SYNC_WRITE : 0u);

	if (open)
		(void)tell(s, DMABUF_ABI_SYNC_END | open, END_NS);
}

static void kernel_drop(struct storage *s)
{
	if (s->access) {
		end_all(s);
		pthread_mutex_destroy(&s->access->lock);
		free(s->access);
	}
	if (s->kept)
		munmap(s->kept, page_round_up(s->size));
	if (s->fd >= 0)
		close(s->fd);
	s->access = NULL;
	storage_set_kept(s, NULL);
	s->fd = -1;
	kernel_fences_unused();
}

static const struct storage_ops kernel_ops = {
	.name = "kernel dma-buf",
	.map = kernel_map,
	.keep = kernel_keep,
	.drop = kernel_drop,
	.begin = kernel_begin,
	.end = kernel_end,
};

bool storage_is_kernel(const struct storage *s)
{
	return s->access;
}

static int check(struct storage *s, int shown, const struct control_facts *facts)
{
	struct kernel_facts kernel;
	int err;

	if (!kernel_is_dmabuf(s->fd))
		return dmabuf_fail(EINVAL,
				   "descriptor %d is not the kernel dma-buf that the "
				   "buffer's state is about",
				   shown);
	err = kernel_describe(s->fd, shown, &kernel);
	if (err)
		return err;
	if (kernel.device != facts->payload_dev || kernel.inode != facts->payload_ino ||
	    kernel.size != facts->size)
		return dmabuf_fail(EINVAL, "descriptor %d is another kernel dma-buf", shown);
	s->device = kernel.device;
	s->inode = kernel.inode;
	s->may_write = kernel.mode == O_RDWR;
	s->read_only = !s->may_write;
	return 0;
}

int storage_adopt_kernel(struct storage *s, int fd, const struct control_facts *facts,
			 struct control *c)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->ops = &kernel_ops;
	s->size = facts->size;
	s->own_fd = true;
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		return dmabuf_fail(errno, "duplicating payload descriptor %d failed: %s", fd,
				   strerror(errno));
	err = check(s, fd, facts);
	if (!err) {
		s->access = calloc(1, sizeof(*s->access));
		err = s->access ? 0 : dmabuf_fail(ENOMEM, "no memory for a kernel dma-buf");
	}
	if (err) {
		kernel_drop(s);
		return err;
	}
	pthread_mutex_init(&s->access->lock, NULL);
	s->access->control = c;
	return 0;
}
