// SPDX-License-Identifier: MIT
/*
 * Kernel dma-bufs are adopted: one handle a process, one state for all who adopt, and nobody else.
 * Real dma-bufs where this kernel has them for us, else pretended ones; see fake-kernel.h.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake-kernel.h"
#include "harness/harness.h"
#include "kernel/abi.h"
#include "kernel/address.h"
#include "kernel/dmabuf.h"
#include "kernel/marks.h"
#include "kernel/rendezvous.h"

#define SIZE 8192

TEST(A3_a_kernel_dmabuf_is_adopted)
{
	int fd = kernel_dmabuf(SIZE), other;
	struct dma_buf *buf = dma_buf_get(fd), *same;
	struct stat a, b;

	ASSERT(buf);
	ASSERT_EQ(buf->size, SIZE);
	ASSERT_EQ(buf->flags, O_RDWR);
	same = dma_buf_get(fd);
	ASSERT(same == buf);
	dma_buf_put(same);
	other = dma_buf_fd(buf, O_CLOEXEC);
	ASSERT_OK(fstat(fd, &a));
	ASSERT_OK(fstat(other, &b));
	ASSERT_EQ(a.st_ino, b.st_ino);
	same = dma_buf_get(other);
	ASSERT(same == buf);
	dma_buf_put(same);
	close(other);
	other = dma_buf_payload_fd(buf, O_CLOEXEC);
	ASSERT_OK(fstat(other, &b));
	ASSERT_EQ(a.st_ino, b.st_ino);
	close(other);
	dma_buf_put(buf);
	close(fd);
}

TEST(A3_adopting_refuses_what_is_no_kernel_dmabuf)
{
	int fd = memfd_create("none", MFD_CLOEXEC);

	ASSERT_ERRNO(dma_buf_adopt(fd, 0), EINVAL);
	ASSERT_ERRNO(dma_buf_adopt(fd, 2), EINVAL);
	ASSERT_ERRNO(dma_buf_adopt(-1, 0), EBADF);
	close(fd);
}

TEST(B1_bytes_of_a_kernel_dmabuf_are_its_own)
{
	int fd = kernel_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);
	char *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *mapped;

	ASSERT(bytes != MAP_FAILED);
	mapped = dma_buf_vmap(buf);
	ASSERT(mapped);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	memset(mapped, 0x5a, SIZE);
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	ASSERT_EQ(bytes[SIZE - 1], 0x5a);
	dma_buf_vunmap(buf, mapped);
	munmap(bytes, SIZE);
	dma_buf_put(buf);
	close(fd);
}

TEST(C3_the_kernel_is_told_of_each_access_once)
{
	int fd = fake_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);
	struct dma_buf_counters counters;
	uint64_t flags[8];

	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, 100, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 200, 100, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, 100, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, 100, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 200, 100, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, 100, DMA_BIDIRECTIONAL));
	ASSERT_EQ(fake_syncs(flags, 8), 3);
	ASSERT_EQ(flags[0], DMABUF_ABI_SYNC_START | DMABUF_ABI_SYNC_READ);
	ASSERT_EQ(flags[1], DMABUF_ABI_SYNC_START | DMABUF_ABI_SYNC_WRITE);
	ASSERT_EQ(flags[2], DMABUF_ABI_SYNC_END | DMABUF_ABI_SYNC_READ | DMABUF_ABI_SYNC_WRITE);
	ASSERT_OK(dma_buf_get_counters(buf, &counters));
	ASSERT_EQ(counters.sync_needed, 3);
	ASSERT_EQ(counters.sync_done, 3);
	dma_buf_put(buf);
	close(fd);
}

TEST(C3_signals_in_the_way_of_a_sync_are_waited_out)
{
	int fd = fake_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);

	fake_sync_fails(EINTR, 3);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	fake_sync_fails(EAGAIN, 3);
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	ASSERT_EQ(fake_syncs(NULL, 0), 8);
	dma_buf_put(buf);
	close(fd);
}

TEST(C3_a_failed_start_is_no_access_and_a_failed_end_ends)
{
	int fd = fake_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);
	uint64_t flags[4];

	fake_sync_fails(ENOTTY, 1);
	ASSERT_ERR(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE), ENOTTY);
	ASSERT_ERR(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE), EINVAL);
	ASSERT_EQ(fake_syncs(flags, 4), 1);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	fake_sync_fails(EIO, 1);
	ASSERT_ERR(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE), EIO);
	ASSERT_ERR(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE), EINVAL);
	ASSERT_EQ(fake_syncs(flags, 4), 2);
	/* The next one is told again. */
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	ASSERT_EQ(fake_syncs(flags, 4), 2);
	dma_buf_put(buf);
	close(fd);
}

TEST(C3_an_access_left_open_is_ended_with_the_handle)
{
	int fd = fake_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);
	uint64_t flags[4];

	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	dma_buf_put(buf);
	ASSERT_EQ(fake_syncs(flags, 4), 2);
	ASSERT_EQ(flags[1], DMABUF_ABI_SYNC_END | DMABUF_ABI_SYNC_WRITE);
	close(fd);
}

TEST(D6_a_lock_tells_the_kernel_of_its_access)
{
	int fd = fake_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);
	uint64_t flags[4];

	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT_EQ(fake_syncs(flags, 4), 2);
	ASSERT_EQ(flags[0], DMABUF_ABI_SYNC_START | DMABUF_ABI_SYNC_READ);
	ASSERT_EQ(flags[1], DMABUF_ABI_SYNC_END | DMABUF_ABI_SYNC_READ);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_DMA_W, true));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT_EQ(fake_syncs(flags, 4), 0);
	dma_buf_put(buf);
	close(fd);
}

TEST(H1_a_lock_waits_for_the_kernels_fences)
{
	int fd = fake_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "waits");

	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_R));
	fake_pending(true, false);
	ASSERT_OK(dmabuf_sync_trylock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	fake_pending(true, true);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "kernel");
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 20), ETIMEDOUT);
	ASSERT(!dmabuf_sync_is_locked(sync));
	fake_pending(false, true);
	ASSERT_OK(dmabuf_sync_trylock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_put_all(sync);
	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_DMA_W));
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	fake_pending(false, false);
	ASSERT_OK(dmabuf_sync_trylock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(buf);
	close(fd);
}

static bool is_readable(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

TEST(H1_a_lock_asked_for_is_granted_after_the_kernels_fences)
{
	int fd = fake_dmabuf(SIZE), grant;
	struct dma_buf *buf = dma_buf_get(fd);
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "asks");

	ASSERT_OK(dmabuf_sync_get(sync, buf, DMA_BUF_ACCESS_W));
	grant = dmabuf_sync_fd(sync);
	ASSERT_OK(grant);
	fake_pending(true, true);
	ASSERT_OK(dmabuf_sync_lock_async(sync, 60, NULL));
	ASSERT(eventually(is_readable, &grant, 10000));
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), ETIMEDOUT);
	ASSERT_OK(dmabuf_sync_set_claim(sync, 20000));
	ASSERT_OK(dmabuf_sync_lock_async(sync, 20000, NULL));
	ASSERT(!is_readable(&grant));
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), EAGAIN);
	fake_pending(false, true);
	ASSERT(eventually(is_readable, &grant, 10000));
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(buf);
	close(fd);
}

TEST(H1_names_are_the_kernels_too)
{
	int fd = fake_dmabuf(SIZE);
	struct dma_buf *buf = dma_buf_get(fd);

	ASSERT_OK(dma_buf_set_name(buf, "camera"));
	ASSERT_STR_EQ(fake_name(), "camera");
	dma_buf_put(buf);
	close(fd);
}

TEST(H1_what_fdinfo_says_is_read_line_by_line)
{
	struct kernel_facts facts = { .exp_name = "kernel" };

	kernel_parse_fdinfo("pos:\t0\nflags:\t02\nsize:\t4096\ncount:\t2\nexp_name:\tudmabuf\n"
			    "name:\tleft\nexp_name:\tlie\n",
			    &facts);
	ASSERT_STR_EQ(facts.exp_name, "udmabuf");
	ASSERT_STR_EQ(facts.name, "left");
	memset(&facts, 0, sizeof(facts));
	strcpy(facts.exp_name, "kernel");
	kernel_parse_fdinfo("pos:\t0\n", &facts);
	ASSERT_STR_EQ(facts.exp_name, "kernel");
	ASSERT_STR_EQ(facts.name, "");
	kernel_parse_fdinfo("", &facts);
	kernel_parse_fdinfo("name:", &facts);
	ASSERT_STR_EQ(facts.name, "");
	kernel_parse_fdinfo(
		"exp_name:\taaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x01\n", &facts);
	ASSERT_EQ(strlen(facts.exp_name), DMA_BUF_NAME_LEN - 1);
}

/* Two processes */

struct pair {
	int fd;
	struct gate here, done;
};

static int hold(void *arg)
{
	struct pair *p = arg;
	struct dma_buf *buf = dma_buf_get(p->fd);

	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	gate_signal(&p->here);
	gate_wait(&p->done);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	close(p->fd);
	return 0;
}

static void pair_begin(struct pair *p)
{
	p->fd = kernel_dmabuf(SIZE);
	gate_init(&p->here);
	gate_init(&p->done);
}

static void pair_end(struct pair *p)
{
	gate_close(&p->here);
	gate_close(&p->done);
	close(p->fd);
}

TEST(A3_two_that_adopt_by_themselves_share_one_state)
{
	struct dma_buf *buf;
	struct pair p;
	pid_t child;

	pair_begin(&p);
	child = spawn(hold, &p);
	gate_wait(&p.here);
	buf = dma_buf_get(p.fd);
	ASSERT(buf);
	ASSERT_ERR(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, false), EBUSY);
	gate_signal(&p.done);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT_EQ(reap(child), 0);
	dma_buf_put(buf);
	pair_end(&p);
}

static int adopt_and_lock(void *arg)
{
	int fd = *(int *)arg, ret;
	struct dma_buf *buf = dma_buf_get(fd);

	ASSERT(buf);
	ret = dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, false);
	if (!ret)
		ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	close(fd);
	return -ret;
}

TEST(A3_the_state_outlives_who_made_it)
{
	struct dma_buf *buf;
	struct pair p;
	pid_t child;

	pair_begin(&p);
	child = spawn(hold, &p);
	gate_wait(&p.here);
	buf = dma_buf_get(p.fd);
	ASSERT(buf);
	gate_signal(&p.done);
	ASSERT_EQ(reap(child), 0);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	/* Whoever comes now finds it with us. */
	ASSERT_EQ(reap(spawn(adopt_and_lock, &p.fd)), EBUSY);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	pair_end(&p);
}

static int die_holding(void *arg)
{
	struct pair *p = arg;
	struct dma_buf *buf = dma_buf_get(p->fd);

	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	gate_signal(&p->here);
	_exit(0);
}

TEST(A3_marks_of_the_dead_are_in_nobodys_way)
{
	struct kernel_mark marks[KERNEL_MARKS_MAX];
	struct dma_buf *buf;
	struct pair p;

	pair_begin(&p);
	ASSERT_EQ(reap(spawn(die_holding, &p)), 0);
	ASSERT_EQ(kernel_marks(p.fd, marks), 1);
	buf = dma_buf_get(p.fd);
	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT_EQ(kernel_marks(p.fd, marks), 1);
	dma_buf_put(buf);
	ASSERT_EQ(kernel_marks(p.fd, marks), 0);
	pair_end(&p);
}

#define CROWD 6

static int one_of_many(void *arg)
{
	struct pair *p = arg;
	struct dma_buf *buf;
	unsigned int *count, seen;

	gate_wait(&p->here);
	for (int i = 0; i < 10; i++) {
		buf = dma_buf_get(p->fd);
		ASSERT(buf);
		count = dma_buf_vmap(buf);
		ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
		seen = *(volatile unsigned int *)count;
		usleep(100);
		*(volatile unsigned int *)count = seen + 1;
		ASSERT_OK(dmabuf_sync_single_unlock(buf));
		dma_buf_vunmap(buf, count);
		dma_buf_put(buf);
	}
	close(p->fd);
	return 0;
}

TEST(A3_many_that_adopt_at_once_never_have_two_states)
{
	unsigned int *count;
	pid_t child[CROWD];
	struct pair p;

	pair_begin(&p);
	count = mmap(NULL, 4096, PROT_READ, MAP_SHARED, p.fd, 0);
	ASSERT(count != MAP_FAILED);
	for (int i = 0; i < CROWD; i++)
		child[i] = spawn(one_of_many, &p);
	for (int i = 0; i < CROWD; i++)
		gate_signal(&p.here);
	for (int i = 0; i < CROWD; i++)
		ASSERT_EQ(reap(child[i]), 0);
	ASSERT_EQ(*count, CROWD * 10);
	munmap(count, 4096);
	pair_end(&p);
}

static void *get_it(void *arg)
{
	struct dma_buf *buf = dma_buf_get(*(int *)arg);

	if (!buf)
		test_note("%s", dmabuf_last_error());
	return buf;
}

TEST(A3_threads_that_adopt_at_once_get_one_handle)
{
	int fd = kernel_dmabuf(SIZE);
	pthread_t threads[4];
	void *got[4];

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, get_it, &fd), 0);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_join(threads[i], &got[i]), 0);
	for (int i = 0; i < 4; i++) {
		ASSERT(got[i]);
		ASSERT(got[i] == got[0]);
	}
	for (int i = 0; i < 4; i++)
		dma_buf_put(got[i]);
	close(fd);
}

static int receive_and_lock(void *arg)
{
	int *socket = arg, ret;
	struct dma_buf *buf = dma_buf_recv(socket[1], 10000);

	ASSERT(buf);
	ASSERT_EQ(buf->size, SIZE);
	ret = dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false);
	dma_buf_put(buf);
	close(socket[0]);
	close(socket[1]);
	return -ret;
}

TEST(A3_sending_passes_the_dmabuf_and_its_state)
{
	struct dma_buf *buf;
	int fd = kernel_dmabuf(SIZE), sv[2];
	pid_t child;

	buf = dma_buf_adopt(fd, DMA_BUF_ADOPT_PRIVATE);
	close(fd);
	ASSERT(buf);
	socket_pair(SOCK_STREAM, sv);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
	child = spawn(receive_and_lock, sv);
	ASSERT_OK(dma_buf_send(sv[0], buf, 10000));
	ASSERT_EQ(reap(child), EBUSY);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	close(sv[0]);
	close(sv[1]);
	dma_buf_put(buf);
}

static int adopt_and_count(void *arg)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	int fd = *(int *)arg;
	struct dma_buf *buf = dma_buf_get(fd);

	ASSERT(buf);
	ASSERT_OK(dma_buf_get_info(fd, &info));
	dma_buf_put(buf);
	close(fd);
	return (int)info.holder_count;
}

TEST(A3_a_private_state_is_found_by_nobody)
{
	struct dma_buf *buf;
	int fd = kernel_dmabuf(SIZE);

	buf = dma_buf_adopt(fd, DMA_BUF_ADOPT_PRIVATE);
	ASSERT_EQ(reap(spawn(adopt_and_count, &fd)), 1);
	dma_buf_put(buf);
	buf = dma_buf_get(fd);
	ASSERT_EQ(reap(spawn(adopt_and_count, &fd)), 2);
	dma_buf_put(buf);
	close(fd);
}

/* Hostile */

TEST(A3_a_state_that_is_about_another_dmabuf_is_refused)
{
	int one = kernel_dmabuf(SIZE), other = kernel_dmabuf(SIZE), control;
	struct kernel_facts facts;

	ASSERT_OK(kernel_describe(one, one, &facts));
	control = kernel_state_new(&facts, 0);
	ASSERT_OK(control);
	ASSERT_ERRNO(dma_buf_get_split(control, other), EINVAL);
	ASSERT_ERRNO(dma_buf_get_split(control, control), EINVAL);
	ASSERT_ERRNO(dma_buf_get_split(control, -1), ENODATA);
	close(control);
	close(one);
	close(other);
}

TEST(A3_a_state_that_lies_about_the_size_is_refused)
{
	int fd = kernel_dmabuf(SIZE), control;
	struct kernel_facts facts;

	ASSERT_OK(kernel_describe(fd, fd, &facts));
	facts.size = SIZE * 2;
	control = kernel_state_new(&facts, 0);
	ASSERT_ERRNO(dma_buf_get_split(control, fd), EINVAL);
	close(control);
	close(fd);
}

TEST(A3_an_ordinary_buffer_with_a_kernel_dmabuf_is_refused)
{
	struct dma_buf *buf = dma_buf_alloc("ordinary", SIZE, O_RDWR);
	int fd = kernel_dmabuf(SIZE), own = dma_buf_fd(buf, O_CLOEXEC);

	ASSERT_ERRNO(dma_buf_get_split(own, fd), EINVAL);
	close(own);
	close(fd);
	dma_buf_put(buf);
}

TEST(A3_two_states_of_one_dmabuf_in_a_process_are_told)
{
	int fd = kernel_dmabuf(SIZE), control;
	struct dma_buf *buf = dma_buf_get(fd);
	struct kernel_facts facts;

	ASSERT_OK(kernel_describe(fd, fd, &facts));
	control = kernel_state_new(&facts, 0);
	ASSERT_ERRNO(dma_buf_get_split(control, fd), EBUSY);
	close(control);
	dma_buf_put(buf);
	close(fd);
}

/* Who took the address of one that died: has not the dma-buf, and so is not believed. */
static int squat(void *arg)
{
	struct pair *p = arg;
	struct kernel_mark mark = { .number = 77, .netns = kernel_netns() };
	int fd = kernel_dmabuf(4096), forged, fds[2], answer[2], socket;
	struct kernel_facts facts;
	struct stat st;
	struct pollfd asked = { .events = POLLIN };

	ASSERT_OK(fstat(p->fd, &st));
	ASSERT_OK(kernel_describe(p->fd, p->fd, &facts));
	forged = kernel_state_new(&facts, 77);
	socket = kernel_address_bind(st.st_ino, mark.number, 0);
	ASSERT_OK(socket);
	gate_signal(&p->here);
	asked.fd = socket;
	ASSERT(poll(&asked, 1, 20000) > 0);
	ASSERT_OK(kernel_message_receive(socket, fds));
	answer[0] = forged;
	answer[1] = fd;
	ASSERT_OK(kernel_message_send(fds[0], answer));
	_exit(0);
}

TEST(A3_who_squats_on_an_address_is_not_believed)
{
	struct kernel_mark mark = { .number = 77, .netns = kernel_netns() };
	struct kernel_mark marks[KERNEL_MARKS_MAX];
	struct dma_buf *buf;
	struct pair p;
	pid_t child;

	pair_begin(&p);
	ASSERT_OK(kernel_mark_set(p.fd, &mark));
	child = spawn(squat, &p);
	gate_wait(&p.here);
	/* Once he is gone, his mark is a dead one's. */
	buf = dma_buf_get(p.fd);
	ASSERT(buf);
	ASSERT_EQ(reap(child), 0);
	ASSERT_EQ(kernel_marks(p.fd, marks), 1);
	ASSERT(marks[0].number != mark.number);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	pair_end(&p);
}

TEST(A3_one_who_does_not_answer_is_told_in_time)
{
	struct kernel_mark mark = { .number = 78, .netns = kernel_netns() };
	struct stat st;
	struct pair p;
	int socket;

	pair_begin(&p);
	ASSERT_OK(fstat(p.fd, &st));
	ASSERT_OK(kernel_mark_set(p.fd, &mark));
	socket = kernel_address_bind(st.st_ino, mark.number, 3);
	ASSERT_OK(socket);
	ASSERT_ERRNO(dma_buf_get(p.fd), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "dma_buf_send");
	close(socket);
	pair_end(&p);
}

TEST(A3_one_adopted_in_another_network_namespace_is_told)
{
	struct kernel_mark mark = { .number = 79, .netns = kernel_netns() + 1 };
	struct dma_buf *buf;
	int fd = kernel_dmabuf(SIZE);

	ASSERT_OK(kernel_mark_set(fd, &mark));
	ASSERT_ERRNO(dma_buf_get(fd), EXDEV);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "DMA_BUF_ADOPT_PRIVATE");
	buf = dma_buf_adopt(fd, DMA_BUF_ADOPT_PRIVATE);
	ASSERT(buf);
	dma_buf_put(buf);
	close(fd);
}

TEST(A3_marks_that_make_no_sense_are_told)
{
	struct flock all = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
	int fd = kernel_dmabuf(SIZE);

	ASSERT_OK(fcntl(fd, F_OFD_SETLK, &all));
	ASSERT_ERRNO(dma_buf_get(fd), EIO);
	close(fd);
}

static int lock_ranges(void *arg)
{
	struct flock range = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct pair *p = arg;

	/* Before the marks, among them, and behind. */
	for (int64_t at = 0; at < 60; at += 5) {
		range.l_start = ((int64_t)1 << 62) + (at << 33) + 1;
		range.l_len = 1;
		ASSERT_OK(fcntl(p->fd, F_SETLK, &range));
	}
	gate_signal(&p->here);
	gate_wait(&p->done);
	_exit(0);
}

TEST(A3_locks_of_processes_hide_no_marks)
{
	struct kernel_mark marks[KERNEL_MARKS_MAX], own = { .number = 5, .netns = 1 };
	struct pair p;
	pid_t child;

	pair_begin(&p);
	child = spawn(lock_ranges, &p);
	gate_wait(&p.here);
	for (own.number = 1; own.number <= 40; own.number++)
		ASSERT_OK(kernel_mark_set(p.fd, &own));
	ASSERT_EQ(kernel_marks(p.fd, marks), 40);
	for (int i = 0; i < 40; i++)
		ASSERT_EQ(marks[i].number, i + 1);
	own.number = 7;
	kernel_mark_clear(p.fd, &own);
	ASSERT_EQ(kernel_marks(p.fd, marks), 39);
	gate_signal(&p.done);
	ASSERT_EQ(reap(child), 0);
	pair_end(&p);
}
