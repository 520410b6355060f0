// SPDX-License-Identifier: MIT
/*
 * Buffers and descriptors: rows A1 to A3, B4's pool.
 */
#include <dmabuf.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "exporter.h"

TEST(A1_export_refuses_what_is_mandatory_and_missing)
{
	struct counting_exporter exporter = { 0 };
	struct dma_buf_ops ops = counting_ops;
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	ASSERT_ERRNO(dma_buf_export(NULL), EINVAL);
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.size = 4096;
	info.flags = O_RDWR;
	info.priv = &exporter;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);

#define REFUSED_WITHOUT(op)                          \
	ops = counting_ops;                          \
	ops.op = NULL;                               \
	info.ops = &ops;                             \
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL); \
	ASSERT_STR_CONTAINS(dmabuf_last_error(), #op)
	REFUSED_WITHOUT(map_dma_buf);
	REFUSED_WITHOUT(unmap_dma_buf);
	REFUSED_WITHOUT(release);
	REFUSED_WITHOUT(kmap_atomic);
	REFUSED_WITHOUT(kmap);

	info.ops = &counting_ops;
	info.priv = NULL;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	ASSERT_EQ(exporter.released, 0);
}

TEST(A1_export_refuses_senseless_sizes_flags_and_names)
{
	struct counting_exporter exporter = { 0 };
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &counting_ops;
	info.priv = &exporter;
	info.flags = O_RDWR;
	info.size = 0;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.size = DMA_BUF_MAX_SIZE + 1;
	ASSERT_ERRNO(dma_buf_export(&info), EFBIG);
	info.size = SIZE_MAX;
	ASSERT_ERRNO(dma_buf_export(&info), EFBIG);
	info.size = 1;
	info.flags = O_WRONLY;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.flags = O_RDWR | O_APPEND;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.flags = O_RDWR;
	info.exp_name = "";
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.exp_name = "a\033b";
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.exp_name = "a name that is longer than the room for it";
	ASSERT_ERRNO(dma_buf_export(&info), ENAMETOOLONG);
	info.exp_name = NULL;
	info.struct_size = 3;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
}

TEST(A1_what_was_exported_is_in_the_handle)
{
	struct counting_exporter exporter = { 0 };
	struct dma_resv *resv = (struct dma_resv *)&exporter;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.exp_name = "tester";
	info.ops = &counting_ops;
	info.size = 12345;
	info.flags = O_RDWR | O_CLOEXEC;
	info.resv = resv;
	info.priv = &exporter;
	dmabuf = dma_buf_export(&info);
	ASSERT(dmabuf);
	ASSERT_EQ(dmabuf->size, 12345);
	ASSERT_STR_EQ(dmabuf->exp_name, "tester");
	ASSERT(dmabuf->ops == &counting_ops);
	ASSERT(dmabuf->priv == &exporter);
	ASSERT(dmabuf->resv == resv);
	ASSERT_EQ(dmabuf->flags, O_RDWR);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 1);
}

TEST(A2_fd_is_close_on_exec_only_when_asked)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	int plain = dma_buf_fd(dmabuf, 0);

	ASSERT_OK(fd);
	ASSERT_OK(plain);
	ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ASSERT_EQ(fcntl(plain, F_GETFD), 0);
	close(fd);
	close(plain);
	dma_buf_put(dmabuf);
}

TEST(A2_unknown_fd_flags_are_refused)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);

	ASSERT_ERR(dma_buf_fd(dmabuf, O_NONBLOCK), EINVAL);
	ASSERT_ERR(dma_buf_fd(dmabuf, O_CLOEXEC | O_RDWR), EINVAL);
	ASSERT_ERR(dma_buf_fd(NULL, O_CLOEXEC), EINVAL);
	dma_buf_put(dmabuf);
}

TEST(A3_the_same_buffer_got_twice_is_one_handle)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR), *again, *third;
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	again = dma_buf_get(fd);
	ASSERT(again == dmabuf);
	third = dma_buf_get(fd);
	ASSERT(third == dmabuf);
	get_dma_buf(dmabuf);
	dma_buf_put(dmabuf);
	dma_buf_put(dmabuf);
	dma_buf_put(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_TO_DEVICE));
	dma_buf_put(dmabuf);
	close(fd);
}

TEST(A3_get_refuses_what_is_no_dma_buf)
{
	int pipes[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int closed = dup(null);

	close(closed);
	ASSERT_ERRNO(dma_buf_get(-1), EBADF);
	ASSERT_ERRNO(dma_buf_get(closed), EBADF);
	ASSERT_ERRNO(dma_buf_get(null), EINVAL);
	ASSERT_OK(pipe2(pipes, O_CLOEXEC));
	ASSERT_ERRNO(dma_buf_get(pipes[0]), EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	close(null);
}

static bool is_released(void *arg)
{
	return ((struct counting_exporter *)arg)->released == 1;
}

TEST(A3_release_waits_for_the_last_descriptor_and_runs_once)
{
	struct counting_exporter exporter = { 0 };
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), copy = dup(fd);

	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 0);
	close(fd);
	ASSERT_EQ(exporter.released, 0);
	/* The buffer lives: it can be had again, ops and all. */
	dmabuf = dma_buf_get(copy);
	ASSERT(dmabuf);
	ASSERT(dmabuf->priv == &exporter);
	dma_buf_put(dmabuf);
	close(copy);
	ASSERT(eventually(is_released, &exporter, 60000));
	ASSERT_EQ(exporter.released, 1);
}

static int hold_until_told(void *arg)
{
	int *sockets = arg;
	struct dma_buf *dmabuf;
	char byte;

	close(sockets[0]);
	dmabuf = dma_buf_recv(sockets[1], 5000);
	ASSERT(dmabuf);
	ASSERT_EQ(write(sockets[1], "r", 1), 1);
	ASSERT_EQ(read(sockets[1], &byte, 1), 1);
	dma_buf_put(dmabuf);
	close(sockets[1]);
	return 0;
}

TEST(A3_release_waits_for_another_process_and_runs_in_the_exporter)
{
	struct counting_exporter exporter = { 0 };
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	int sockets[2];
	pid_t child;
	char byte;

	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	child = spawn(hold_until_told, sockets);
	close(sockets[1]);
	ASSERT_OK(dma_buf_send(sockets[0], dmabuf, 5000));
	ASSERT_EQ(read(sockets[0], &byte, 1), 1);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 0);
	ASSERT_EQ(write(sockets[0], "g", 1), 1);
	ASSERT_EQ(reap(child), 0);
	ASSERT(eventually(is_released, &exporter, 60000));
	close(sockets[0]);
}

TEST(B4_a_pool_gives_the_same_buffer_again_still_mapped)
{
	struct dma_buf_pool *pool = dma_buf_pool_create("frames", 65536, 4);
	struct dma_buf *first = dma_buf_pool_get(pool), *again;
	char *bytes = dma_buf_vmap(first);

	memset(bytes, 7, 65536);
	dma_buf_vunmap(first, bytes);
	dma_buf_pool_put(pool, first);
	again = dma_buf_pool_get(pool);
	ASSERT(again == first);
	ASSERT(dma_buf_vmap(again) == bytes);
	ASSERT_EQ(bytes[65535], 7);
	dma_buf_vunmap(again, bytes);
	dma_buf_pool_put(pool, again);
	dma_buf_pool_destroy(pool);
}

TEST(B4_a_pool_never_reuses_a_buffer_that_others_may_hold)
{
	struct dma_buf_pool *pool = dma_buf_pool_create("frames", 4096, 4);
	struct dma_buf *first = dma_buf_pool_get(pool), *next;
	int fd = dma_buf_fd(first, O_CLOEXEC);
	struct stat a, b;

	ASSERT_OK(fstat(fd, &a));
	dma_buf_pool_put(pool, first);
	next = dma_buf_pool_get(pool);
	close(fd);
	fd = dma_buf_fd(next, O_CLOEXEC);
	ASSERT_OK(fstat(fd, &b));
	ASSERT(a.st_ino != b.st_ino);
	close(fd);
	dma_buf_pool_put(pool, next);
	dma_buf_pool_destroy(pool);
}

/* Nor one that went out in a message; what comes in its place is zeroed. */
TEST(F8_a_pools_buffer_that_was_sent_goes_to_nobody_else)
{
	struct dma_buf_pool *pool = dma_buf_pool_create("frames", 4096, 4);
	struct dma_buf *sent = dma_buf_pool_get(pool), *next;
	char *bytes = dma_buf_vmap(sent);
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	memset(bytes, 7, 4096);
	dma_buf_vunmap(sent, bytes);
	ASSERT_OK(dma_buf_send(sockets[0], sent, 5000));
	dma_buf_pool_put(pool, sent);
	next = dma_buf_pool_get(pool);
	bytes = dma_buf_vmap(next);
	for (int i = 0; i < 4096; i++)
		ASSERT_EQ(bytes[i], 0);
	dma_buf_vunmap(next, bytes);
	dma_buf_pool_put(pool, next);
	dma_buf_pool_destroy(pool);
	close(sockets[0]);
	close(sockets[1]);
}
