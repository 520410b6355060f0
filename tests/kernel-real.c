// SPDX-License-Identifier: MIT
/*
 * The kernel's own dma-bufs, fences and heaps; skipped where this kernel has none for us. The
 * fences are vgem's, a driver whose fences a program makes and signals.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fence.h"
#include "harness/harness.h"
#include "kernel/dmabuf.h"
#include "kernel/fence.h"
#include "kernel/sync-file.h"
#include "kernel-util.h"
#include "kernel/vgem.h"
#include "vgem-world.h"

TEST(H1_a_dmabuf_of_a_driver_is_adopted_with_what_the_kernel_says_of_it)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	struct world w;
	struct dma_buf *buf;
	struct stat st;
	char *bytes;

	world_begin(&w);
	ASSERT(kernel_is_dmabuf(w.fd));
	buf = dma_buf_get(w.fd);
	ASSERT(buf);
	ASSERT_EQ(buf->size, SIZE);
	ASSERT(!strcmp(buf->exp_name, "vgem") || !strcmp(buf->exp_name, "drm"));
	ASSERT_OK(dma_buf_set_name(buf, "left eye"));
	ASSERT_OK(dma_buf_get_info(w.fd, &info));
	ASSERT_OK(fstat(w.fd, &st));
	ASSERT_EQ(info.inode, st.st_ino);
	ASSERT_EQ(info.size, SIZE);
	ASSERT_STR_EQ(info.name, "left eye");
	ASSERT(!strcmp(info.exp_name, "vgem") || !strcmp(info.exp_name, "drm"));
	ASSERT(info.exporter_alive);
	ASSERT_EQ(info.holder_count, 1);
	bytes = dma_buf_vmap(buf);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_BIDIRECTIONAL));
	bytes[SIZE - 1] = 1;
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_BIDIRECTIONAL));
	dma_buf_vunmap(buf, bytes);
	dma_buf_put(buf);
	world_end(&w);
}

TEST(H1_a_dmabuf_that_nobody_adopted_is_described_all_the_same)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	struct world w;

	world_begin(&w);
	ASSERT_OK(dma_buf_get_info(w.fd, &info));
	ASSERT_EQ(info.size, SIZE);
	ASSERT(!strcmp(info.exp_name, "vgem") || !strcmp(info.exp_name, "drm"));
	ASSERT_EQ(info.holder_count, 0);
	world_end(&w);
}

TEST(H1_a_lock_waits_for_a_drivers_fence)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "waits");
	struct dma_buf *buf;
	struct world w;
	int grant;

	world_begin(&w);
	buf = dma_buf_get(w.fd);
	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_R));
	fence_begin(&w);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "vgem");
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 30), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "vgem");
	grant = dmabuf_sync_fd(sync);
	ASSERT_OK(dmabuf_sync_set_claim(sync, 20000));
	ASSERT_OK(dmabuf_sync_lock_async(sync, 20000, NULL));
	ASSERT(!ready(grant, POLLIN));
	fence_end(&w);
	ASSERT(eventually(is_readable, &grant, 10000));
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(buf);
	world_end(&w);
}

struct accessor {
	struct dma_buf *buf;
	_Atomic pid_t tid;
	atomic_bool done;
	int result;
};

static void *begin_access(void *arg)
{
	struct accessor *a = arg;

	atomic_store(&a->tid, gettid());
	a->result = dma_buf_begin_cpu_access(a->buf, 0, SIZE, DMA_FROM_DEVICE);
	atomic_store(&a->done, true);
	return NULL;
}

/* It sleeps until the kernel says that the fence is signalled, or is through. */
static bool waits_or_is_done(void *arg)
{
	struct accessor *a = arg;
	char path[64];
	int number = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&a->tid));
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &number) != 1)
		number = -1; /* "running" */
	if (f)
		fclose(f);
	return atomic_load(&a->done) || number == SYS_poll || number == SYS_ioctl;
}

TEST(H1_a_cpu_access_waits_for_a_drivers_fence)
{
	struct accessor a = { 0 };
	pthread_t thread;
	struct world w;

	world_begin(&w);
	a.buf = dma_buf_get(w.fd);
	ASSERT_OK(dma_buf_begin_cpu_access(a.buf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(a.buf, 0, SIZE, DMA_FROM_DEVICE));
	fence_begin(&w);
	ASSERT_EQ(pthread_create(&thread, NULL, begin_access, &a), 0);
	ASSERT(eventually(waits_or_is_done, &a, 8000));
	ASSERT(!atomic_load(&a.done));
	fence_end(&w);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	ASSERT_OK(a.result);
	ASSERT_OK(dma_buf_end_cpu_access(a.buf, 0, SIZE, DMA_FROM_DEVICE));
	dma_buf_put(a.buf);
	world_end(&w);
}

TEST(H1_the_kernel_waits_for_who_holds)
{
	struct dma_buf *buf;
	struct world w;
	int before, after;

	world_begin(&w);
	buf = dma_buf_get(w.fd);
	before = kernel_export_sync_file(w.fd, false);
	ASSERT_OK(before);
	ASSERT(ready(before, POLLIN));
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	ASSERT(!ready(w.fd, POLLIN));
	ASSERT(!ready(w.fd, POLLOUT));
	ASSERT(ready(before, POLLIN));
	after = kernel_export_sync_file(w.fd, false);
	ASSERT_OK(after);
	ASSERT(!ready(after, POLLIN));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT(ready(w.fd, POLLIN));
	ASSERT(ready(w.fd, POLLOUT));
	ASSERT(ready(after, POLLIN));
	/* A reader keeps writers away only. */
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	ASSERT(ready(w.fd, POLLIN));
	ASSERT(!ready(w.fd, POLLOUT));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT(ready(w.fd, POLLOUT));
	close(before);
	close(after);
	dma_buf_put(buf);
	world_end(&w);
}

TEST(H1_a_holder_does_not_wait_for_itself)
{
	struct dma_buf *buf;
	struct world w;

	world_begin(&w);
	buf = dma_buf_get(w.fd);
	for (int i = 0; i < 3; i++) {
		ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
		ASSERT(!ready(w.fd, POLLIN));
		ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_BIDIRECTIONAL));
		ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_BIDIRECTIONAL));
		ASSERT_OK(dmabuf_sync_single_unlock(buf));
	}
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_DMA_W, false));
	ASSERT(!ready(w.fd, POLLIN));
	ASSERT_ERR(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE), EDEADLK);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	dma_buf_put(buf);
	world_end(&w);
}

TEST(E2_the_kernels_fences_are_in_the_reservation_object_and_ours_in_the_kernels)
{
	struct dma_buf *buf;
	struct dma_fence *fence;
	struct world w;

	world_begin(&w);
	buf = dma_buf_get(w.fd);
	fence_begin(&w);
	ASSERT(!dma_resv_test_signaled(buf->resv, DMA_RESV_USAGE_WRITE));
	ASSERT_EQ(dma_resv_wait_timeout(buf->resv, DMA_RESV_USAGE_WRITE, false, 20), 0);
	fence_end(&w);
	ASSERT(dma_resv_wait_timeout(buf->resv, DMA_RESV_USAGE_READ, false, 10000) > 0);
	fence = fence_new();
	ASSERT_OK(dma_resv_lock(buf->resv, NULL));
	ASSERT_OK(dma_resv_reserve_fences(buf->resv, 1));
	dma_resv_add_fence(buf->resv, fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(buf->resv);
	ASSERT(!ready(w.fd, POLLIN));
	/* What is ours is not found a second time. */
	ASSERT_EQ(dma_resv_wait_timeout(buf->resv, DMA_RESV_USAGE_WRITE, false, 20), 0);
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT(ready(w.fd, POLLIN));
	ASSERT(dma_resv_test_signaled(buf->resv, DMA_RESV_USAGE_READ));
	dma_fence_put(fence);
	dma_buf_put(buf);
	world_end(&w);
}

struct holder {
	struct world *w;
	struct gate here;
};

static int hold_until_killed(void *arg)
{
	struct holder *h = arg;
	struct dma_buf *buf = dma_buf_get(h->w->fd);

	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	gate_signal(&h->here);
	pause();
	_exit(1);
}

TEST(H1_a_holders_death_ends_what_the_kernel_waits_for)
{
	struct dma_buf *buf;
	struct holder h;
	struct world w;
	pid_t child;

	world_begin(&w);
	h.w = &w;
	gate_init(&h.here);
	child = spawn(hold_until_killed, &h);
	gate_wait(&h.here);
	ASSERT(!ready(w.fd, POLLIN));
	buf = dma_buf_get(w.fd);
	ASSERT(buf);
	ASSERT_ERR(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, false), EBUSY);
	kill(child, SIGKILL);
	ASSERT_EQ(reap(child), 128 + SIGKILL);
	ASSERT(ready(w.fd, POLLIN));
	ASSERT_ERR(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	gate_close(&h.here);
	dma_buf_put(buf);
	world_end(&w);
}

TEST(H1_a_hold_that_is_stopped_ends_in_the_kernel)
{
	struct pollfd p = { .events = POLLIN };
	struct holder h;
	struct world w;
	pid_t child;

	world_begin(&w);
	h.w = &w;
	gate_init(&h.here);
	child = spawn(hold_until_killed, &h);
	gate_wait(&h.here);
	kill(child, SIGSTOP);
	p.fd = w.fd;
	ASSERT_EQ(poll(&p, 1, 0), 0);
	ASSERT_EQ(poll(&p, 1, 30000), 1);
	kill(child, SIGKILL);
	ASSERT_EQ(reap(child), 128 + SIGKILL);
	gate_close(&h.here);
	world_end(&w);
}

TEST(E5_a_sync_file_of_the_kernels_is_a_fence)
{
	struct dmabuf_sync_fence_info parts[4];
	struct dmabuf_sync_file_info info = { .size = sizeof(info),
					      .num_fences = 4,
					      .fences = parts };
	struct dma_fence *fence;
	struct world w;
	int file, again, status = 0;

	world_begin(&w);
	file = vgem_fence(w.device, &w.own, &w.fence);
	ASSERT_OK(file);
	ASSERT_OK(dmabuf_sync_file_check(file));
	fence = dmabuf_sync_file_get_fence(file);
	ASSERT(fence);
	ASSERT_STR_EQ(fence->ops->get_driver_name(fence), "vgem");
	ASSERT(!dma_fence_is_signaled(fence));
	ASSERT_OK(dmabuf_sync_file_get_info(file, &info));
	ASSERT_EQ(info.status, 0);
	ASSERT_EQ(info.num_fences, 1);
	ASSERT_STR_EQ(parts[0].driver, "vgem");
	again = dmabuf_sync_file_create(fence, NULL);
	ASSERT(kernel_is_sync_file(again));
	ASSERT_EQ(dmabuf_sync_file_wait(file, 10, NULL), 0);
	fence_end(&w);
	ASSERT(dmabuf_sync_file_wait(again, 10000, &status) > 0);
	ASSERT_EQ(status, 1);
	ASSERT(dma_fence_wait_timeout(fence, false, 10000) > 0);
	ASSERT(dma_fence_timestamp(fence) > 0);
	dma_fence_put(fence);
	close(again);
	close(file);
	world_end(&w);
}

TEST(E5_fences_of_the_kernels_merge_with_each_other_and_with_ours)
{
	struct dmabuf_sync_file_options named = { .size = sizeof(named), .name = "both" };
	struct dmabuf_sync_file_info info = { .size = sizeof(info) };
	struct world a, b;
	int one, other, both, mixed;

	world_begin(&a);
	world_begin(&b);
	one = vgem_fence(a.device, &a.own, &a.fence);
	other = vgem_fence(b.device, &b.own, &b.fence);
	both = dmabuf_sync_file_merge(one, other, &named);
	ASSERT(kernel_is_sync_file(both));
	ASSERT_OK(dmabuf_sync_file_get_info(both, &info));
	ASSERT_EQ(info.num_fences, 2);
	ASSERT_STR_EQ(info.name, "both");
	mixed = dmabuf_sync_file_merge(both, both, NULL);
	ASSERT_OK(mixed);
	fence_end(&a);
	ASSERT(!ready(both, POLLIN));
	fence_end(&b);
	ASSERT(ready(both, POLLIN));
	ASSERT(ready(mixed, POLLIN));
	close(mixed);
	close(both);
	close(one);
	close(other);
	world_end(&a);
	world_end(&b);
}

static void try_heap(const char *heap)
{
	int fd = dma_buf_heap_alloc(heap, "from a heap", SIZE * 3 - 5), other;
	struct dma_buf *buf;
	char *bytes, *seen;

	if (fd < 0)
		SKIP("%s", dmabuf_last_error());
	ASSERT(kernel_is_dmabuf(fd));
	ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	buf = dma_buf_get(fd);
	ASSERT(buf);
	ASSERT_EQ(buf->size, SIZE * 3);
	bytes = dma_buf_vmap(buf);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, buf->size, DMA_BIDIRECTIONAL));
	for (size_t i = 0; i < buf->size; i++)
		ASSERT_EQ(bytes[i], 0);
	memset(bytes, 7, buf->size);
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, buf->size, DMA_BIDIRECTIONAL));
	other = dma_buf_kernel_fd(buf, O_CLOEXEC);
	seen = mmap(NULL, buf->size, PROT_READ, MAP_SHARED, other, 0);
	ASSERT(seen != MAP_FAILED);
	ASSERT_EQ(seen[buf->size - 1], 7);
	munmap(seen, buf->size);
	close(other);
	dma_buf_vunmap(buf, bytes);
	dma_buf_put(buf);
	close(fd);
}

TEST(F8_udmabuf_gives_kernel_dmabufs_of_ordinary_pages)
{
	try_heap("udmabuf");
}

TEST(F8_the_system_heap_gives_kernel_dmabufs)
{
	try_heap("dma_heap/system");
}

TEST(F8_heaps_that_are_not_there_say_what_is_missing)
{
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(heaps[0]) } };
	int count = dma_buf_heap_list(heaps, DMA_BUF_MAX_HEAPS), fd;

	for (int i = 0; i < count; i++) {
		if (strcmp(heaps[i].name, "udmabuf") != 0 &&
		    strncmp(heaps[i].name, "dma_heap/", 9) != 0)
			continue;
		fd = dma_buf_heap_alloc(heaps[i].name, "memory", SIZE);
		ASSERT_EQ(fd >= 0, heaps[i].available);
		if (fd >= 0) {
			close(fd);
			continue;
		}
		ASSERT_EQ(fd, -ENODEV);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "CONFIG_");
	}
}

TEST(H1_an_ordinary_buffer_becomes_a_kernel_dmabuf_without_a_copy)
{
	struct dma_buf *buf = dma_buf_alloc("ordinary", SIZE + 1, O_RDWR), *other;
	char *bytes = dma_buf_vmap(buf), *seen;
	int fd = dma_buf_kernel_fd(buf, O_CLOEXEC);

	if (fd == -ENODEV) {
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "/dev/udmabuf");
		SKIP("no udmabuf");
	}
	ASSERT_OK(fd);
	ASSERT(kernel_is_dmabuf(fd));
	other = dma_buf_get(fd);
	ASSERT(other && other != buf);
	ASSERT_EQ(other->size, SIZE * 2);
	seen = dma_buf_vmap(other);
	bytes[SIZE] = 42;
	ASSERT_OK(dma_buf_begin_cpu_access(other, 0, SIZE * 2, DMA_FROM_DEVICE));
	ASSERT_EQ(seen[SIZE], 42);
	ASSERT_OK(dma_buf_end_cpu_access(other, 0, SIZE * 2, DMA_FROM_DEVICE));
	dma_buf_vunmap(other, seen);
	dma_buf_vunmap(buf, bytes);
	dma_buf_put(other);
	dma_buf_put(buf);
	close(fd);
}

TEST(H1_a_read_only_share_becomes_no_kernel_dmabuf)
{
	struct dma_buf *buf = dma_buf_alloc("shared", SIZE, O_RDONLY);

	ASSERT_ERR(dma_buf_kernel_fd(buf, O_CLOEXEC), EACCES);
	ASSERT_ERR(dma_buf_kernel_fd(buf, 1), EINVAL);
	ASSERT_ERR(dma_buf_kernel_fd(NULL, 0), EINVAL);
	dma_buf_put(buf);
}

TEST(H1_nothing_is_left_in_the_kernel)
{
	long before = kernel_count();
	struct dma_buf *buf;
	struct holder h;
	struct world w;
	pid_t child;

	if (before < 0)
		SKIP("the kernel does not count for us");
	for (int i = 0; i < 5; i++) {
		world_begin(&w);
		buf = dma_buf_get(w.fd);
		ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
		ASSERT(kernel_count() > before);
		ASSERT_OK(dmabuf_sync_single_unlock(buf));
		dma_buf_put(buf);
		h.w = &w;
		gate_init(&h.here);
		child = spawn(hold_until_killed, &h);
		gate_wait(&h.here);
		kill(child, SIGKILL);
		ASSERT_EQ(reap(child), 128 + SIGKILL);
		gate_close(&h.here);
		world_end(&w);
	}
	ASSERT_EQ(kernel_count(), before);
}
