// SPDX-License-Identifier: MIT
/*
 * Descriptors that are no buffer, or no longer one: of every kind, with each seal missing, of every
 * wrong size, changed while they are looked at, and with pages punched out.
 */
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "hostile.h"
#include "harness.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

#define PAYLOAD 8192

/* A buffer's bytes and file size, from which forged ones are made. */
static char *template_bytes(size_t *size)
{
	return hostile_template(PAYLOAD, size);
}

static void check_refused(int fd, int err, const char *kind)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };

	errno = 0;
	if (dma_buf_get(fd) || errno != err)
		FAIL("%s: dma_buf_get answers errno %d (%s), not %d", kind, errno,
		     dmabuf_last_error(), err);
	ASSERT(dmabuf_last_error()[0]);
	errno = 0;
	if (dma_buf_get_split(fd, fd) || errno != err)
		FAIL("%s: dma_buf_get_split answers errno %d, not %d", kind, errno, err);
	if (dma_buf_get_info(fd, &info) != -err)
		FAIL("%s: dma_buf_get_info says %s", kind, dmabuf_last_error());
}

/* Closes @fd. */
static void refused(int fd, int err, const char *kind)
{
	if (fd < 0)
		FAIL("%s: cannot be made: %s", kind, strerror(errno));
	check_refused(fd, err, kind);
	ASSERT_OK(close(fd));
}

TEST(A3_get_refuses_descriptors_that_are_something_else)
{
	char path[] = "/tmp/dmabuf-hostile-XXXXXX";
	int pipe_fds[2], sv[2], fd;

	check_refused(-1, EBADF, "-1");
	check_refused(INT32_MIN, EBADF, "INT_MIN");
	check_refused(1 << 20, EBADF, "a number that is not open");
	ASSERT_OK(pipe2(pipe_fds, O_CLOEXEC));
	refused(pipe_fds[0], EINVAL, "a pipe's reading end");
	refused(pipe_fds[1], EINVAL, "a pipe's writing end");
	socket_pair(SOCK_STREAM, sv);
	refused(sv[0], EINVAL, "a socket");
	close(sv[1]);
	refused(epoll_create1(EPOLL_CLOEXEC), EINVAL, "an epoll");
	refused(eventfd(0, EFD_CLOEXEC), EINVAL, "an eventfd");
	refused(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EINVAL, "a directory");
	refused(open("/dev/null", O_RDWR | O_CLOEXEC), EINVAL, "/dev/null");
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT_OK(fd);
	ASSERT_OK(unlink(path));
	ASSERT_OK(ftruncate(fd, 1 << 20));
	refused(fd, EINVAL, "a regular file");
	/* Answers F_GET_SEALS with F_SEAL_SEAL, as only a memfd should. */
	fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0) {
		ASSERT_OK(ftruncate(fd, 1 << 20));
		refused(fd, EINVAL, "a tmpfs file");
	}
}

TEST(A3_get_refuses_an_O_PATH_descriptor)
{
	struct dma_buf *dmabuf = dma_buf_alloc("o-path", PAYLOAD, O_RDWR);
	char path[64];
	int fd, only_path;

	ASSERT(dmabuf);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	only_path = open(path, O_PATH | O_CLOEXEC);
	ASSERT_OK(only_path);
	check_refused(only_path, EBADF, "O_PATH");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "O_PATH");
	close(only_path);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(A3_get_refuses_memfds_with_a_seal_missing_or_too_many)
{
	static const struct {
		int seals;
		const char *words;
	} cases[] = {
		{ 0, "not sealed" },
		{ F_SEAL_GROW | F_SEAL_SEAL, "not sealed" },
		{ F_SEAL_SHRINK | F_SEAL_SEAL, "not sealed" },
		{ F_SEAL_SHRINK | F_SEAL_GROW, "not sealed" },
		{ F_SEAL_SEAL, "not sealed" },
		{ SEALS_OF_A_BUFFER | F_SEAL_WRITE, "sealed against writing" },
		{ SEALS_OF_A_BUFFER | F_SEAL_FUTURE_WRITE, "sealed against writing" },
	};
	size_t size, i;
	char *bytes = template_bytes(&size);
	int fd;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fd = forge_memfd(bytes, size, cases[i].seals);
		check_refused(fd, EINVAL, cases[i].words);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), cases[i].words);
		close(fd);
	}
	/* And with all that are needed, the same bytes are a buffer. */
	fd = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	ASSERT(exercise(fd, NULL));
	close(fd);
	free(bytes);
}

TEST(A3_get_refuses_memfds_of_a_size_that_cannot_be)
{
	size_t size, page = (size_t)sysconf(_SC_PAGESIZE);
	char *bytes = template_bytes(&size);
	const struct {
		uint64_t size;
		const char *words;
	} cases[] = {
		{ 0, "cannot hold" },
		{ 1, "cannot hold" },
		{ page, "cannot hold" },
		{ size - PAYLOAD - page, "cannot hold" },
		{ size - 1, "cannot hold" },
		{ size + 1, "cannot hold" },
		{ size - PAYLOAD, "no control block" },
		{ size + page, "no control block" },
		/* ThreadSanitizer leaves a program less address space. */
		{ TEST_SANITIZED ? 1 << 30 : DMA_BUF_MAX_SIZE, "no control block" },
		{ DMA_BUF_MAX_SIZE + size, "cannot hold" },
		{ INT64_MAX & ~(page - 1), "cannot hold" },
	};
	size_t i;
	int fd;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fd = forge_memfd(bytes, size, 0);
		ASSERT_OK(ftruncate(fd, 0));
		if (ftruncate(fd, (off_t)cases[i].size) < 0) {
			close(fd);
			continue;
		}
		ASSERT_OK(fcntl(fd, F_ADD_SEALS, SEALS_OF_A_BUFFER));
		check_refused(fd, EINVAL, cases[i].words);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), cases[i].words);
		close(fd);
	}
	free(bytes);
}

TEST(A3_get_refuses_huge_page_memory_that_looks_like_a_buffer)
{
	int fd = memfd_create("dmabuf:huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

	if (fd < 0)
		SKIP("no huge page memfds here: %s", strerror(errno));
	if (ftruncate(fd, 2 << 20) < 0) {
		close(fd);
		SKIP("huge pages are of another size");
	}
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, SEALS_OF_A_BUFFER));
	check_refused(fd, EINVAL, "hugetlb");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "not ordinary memory");
	close(fd);
}

static int reopen_as(int fd, int mode)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, mode | O_CLOEXEC);
}

TEST(A3_a_read_only_descriptor_shows_the_buffer_but_does_not_take_part)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	size_t size;
	char *bytes = template_bytes(&size);
	int fd = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	int reader = reopen_as(fd, O_RDONLY), writer = reopen_as(fd, O_WRONLY);

	ASSERT_OK(reader);
	ASSERT_OK(writer);
	ASSERT_ERRNO(dma_buf_get(reader), EACCES);
	ASSERT_ERRNO(dma_buf_get(writer), EACCES);
	ASSERT_OK(dma_buf_get_info(reader, &info));
	ASSERT_EQ(info.size, PAYLOAD);
	ASSERT(dma_buf_get_info(writer, &info) < 0);
	close(reader);
	close(writer);
	close(fd);
	free(bytes);
}

struct race {
	atomic_int fd;
	atomic_bool stop;
	size_t size;
};

static void *grow_and_shrink(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		(void)!ftruncate(atomic_load(&r->fd), (off_t)r->size * 2);
		(void)!ftruncate(atomic_load(&r->fd), 0);
		(void)!ftruncate(atomic_load(&r->fd), (off_t)r->size);
	}
	return NULL;
}

/* Whenever the seals come, the library saw a size that holds, or none. */
TEST(A3_a_memfd_that_grows_and_shrinks_while_it_is_opened_hurts_nobody)
{
	size_t size, i;
	char *bytes = template_bytes(&size);
	struct race r = { .size = size };
	struct attack none = { 0 };
	pthread_t thread;
	int fd;

	for (i = 0; i < 100; i++) {
		fd = forge_memfd(bytes, size, 0);
		atomic_store(&r.fd, fd);
		atomic_store(&r.stop, false);
		ASSERT_EQ(pthread_create(&thread, NULL, grow_and_shrink, &r), 0);
		exercise(fd, &none);
		(void)!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
		exercise(fd, &none);
		(void)!fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL);
		exercise(fd, &none);
		atomic_store(&r.stop, true);
		pthread_join(thread, NULL);
		exercise(fd, &none);
		close(fd);
	}
	free(bytes);
}

static void *swap_number(void *arg)
{
	struct race *r = arg;
	int fd = atomic_load(&r->fd), unsealed = forge_memfd(NULL, r->size, 0);
	int buffer = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	while (!atomic_load(&r->stop)) {
		dup3(unsealed, fd, O_CLOEXEC);
		dup3(buffer, fd, O_CLOEXEC);
		(void)!ftruncate(unsealed, 0);
		(void)!ftruncate(unsealed, (off_t)r->size);
	}
	dup3(buffer, fd, O_CLOEXEC);
	close(buffer);
	close(unsealed);
	return NULL;
}

/* A number that means one file when it is checked and another when it is mapped. */
TEST(A3_a_number_that_changes_its_meaning_during_the_call_hurts_nobody)
{
	size_t size, i, taken = 0;
	char *bytes = template_bytes(&size);
	struct race r = { .size = size };
	struct dma_buf *dmabuf;
	pthread_t thread;
	int fd = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);

	atomic_store(&r.fd, fd);
	ASSERT_EQ(pthread_create(&thread, NULL, swap_number, &r), 0);
	for (i = 0; i < 3000 || (!taken && i < 1000000); i++) {
		check_info(fd);
		dmabuf = dma_buf_get(fd);
		if (!dmabuf)
			continue;
		taken++;
		ASSERT_EQ(dmabuf->size, PAYLOAD);
		((volatile char *)dma_buf_vmap(dmabuf))[PAYLOAD - 1]++;
		dma_buf_put(dmabuf);
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	ASSERT(taken > 0);
	close(fd);
	free(bytes);
}

static void punch(int fd, off_t from, off_t len)
{
	ASSERT_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, len));
}

/* The seals keep the size, not the pages: a holder can take the content away, not the memory. */
TEST(A3_a_punched_payload_reads_zeros)
{
	struct dma_buf *dmabuf = dma_buf_alloc("punched", PAYLOAD, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	char *at = dma_buf_vmap(dmabuf);
	size_t i;

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, PAYLOAD, DMA_BIDIRECTIONAL));
	memset(at, 'x', PAYLOAD);
	punch(fd, 0, PAYLOAD);
	for (i = 0; i < PAYLOAD; i++)
		ASSERT_EQ(at[i], 0);
	at[0] = 'y';
	ASSERT_EQ(at[0], 'y');
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, PAYLOAD, DMA_BIDIRECTIONAL));
	dma_buf_vunmap(dmabuf, at);
	dma_buf_put(dmabuf);
	ASSERT(exercise(fd, NULL));
	close(fd);
}

struct wiped {
	int fd;
	struct gate gate;
};

static int take_wiped(void *arg)
{
	struct wiped *wiped = arg;

	gate_wait(&wiped->gate);
	ASSERT_ERRNO(dma_buf_get(wiped->fd), EINVAL);
	return 0;
}

TEST(A3_a_punched_control_block_spoils_the_buffer_for_its_holders_and_they_are_told)
{
	struct dma_buf_device *shy = hostile_device(true);
	struct dma_buf *dmabuf = dma_buf_alloc("wiped", PAYLOAD, O_RDWR);
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct dma_buf_attachment *attach;
	struct wiped wiped = { .fd = fd };
	struct dma_buf_sg_table *table;
	struct stat st;
	int64_t began;
	pid_t pid;
	char *at;

	/* Before the library has threads, beside which a sanitizer's process must not fork. */
	gate_init(&wiped.gate);
	pid = spawn(take_wiped, &wiped);
	attach = dma_buf_attach(dmabuf, shy);
	ASSERT(attach);
	table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	ASSERT(table);
	at = dma_buf_vmap(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 100, DMA_BIDIRECTIONAL));
	at[0] = 'x';
	ASSERT_OK(fstat(fd, &st));
	punch(fd, PAYLOAD, st.st_size - PAYLOAD);
	began = now_ms();

	ASSERT_ERRNO(dma_buf_attach(dmabuf, shy), EIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "spoilt");
	ASSERT_ERRNO(dma_buf_attach(dmabuf, dma_buf_cpu_device()), EIO);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL), EIO);
	ASSERT_ERR(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE), EIO);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL), EIO);
	/* What ends something ends it all the same. */
	dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_BIDIRECTIONAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_BIDIRECTIONAL), EINVAL);
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL), EIO);
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL), EINVAL);
	/* The payload is another thing. */
	ASSERT_EQ(at[0], 'x');
	ASSERT_ERR(dma_buf_get_info(fd, &info), EINVAL);
	dma_buf_vunmap(dmabuf, at);
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
	ASSERT_ERRNO(dma_buf_get(fd), EIO);
	ASSERT(now_ms() - began < 5000);
	/* To whom it is new, it is no buffer at all. */
	gate_signal(&wiped.gate);
	ASSERT_EQ(reap(pid), 0);
	gate_close(&wiped.gate);
	close(fd);
	dma_buf_device_put(shy);
}

static void check_unwritable(int payload)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", payload);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again >= 0) {
		ASSERT(pwrite(again, "w", 1, 0) < 0);
		ASSERT(fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
		ASSERT(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
		close(again);
	}
}

/* Whoever takes a read-only share is told if the payload is not what it should be. */
TEST(A3_a_split_buffer_with_the_wrong_payload_is_refused)
{
	struct dma_buf *share = dma_buf_alloc("share", PAYLOAD, O_RDONLY);
	struct dma_buf *other = dma_buf_alloc("other", PAYLOAD, O_RDONLY);
	int fd = dma_buf_fd(share, O_CLOEXEC), payload = dma_buf_payload_fd(share, O_CLOEXEC);
	int foreign = dma_buf_payload_fd(other, O_CLOEXEC);
	size_t size, i;
	char *bytes;
	int copy;

	check_unwritable(payload);
	dma_buf_put(other);
	/* A copy of the control memfd, so that the handle above is not simply found again. */
	size = (size_t)lseek(fd, 0, SEEK_END);
	bytes = malloc(size);
	ASSERT_EQ(pread(fd, bytes, size, 0), size);
	copy = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	ASSERT_ERRNO(dma_buf_get(copy), ENODATA);
	ASSERT_ERRNO(dma_buf_get_split(copy, copy), EINVAL);
	ASSERT_ERRNO(dma_buf_get_split(copy, foreign), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "another buffer");
	for (i = 0; i < 5; i++) {
		static const int seals[] = { 0, SEALS_OF_A_BUFFER, F_SEAL_FUTURE_WRITE,
					     SEALS_OF_A_BUFFER | F_SEAL_WRITE,
					     F_SEAL_SHRINK | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE };
		int weak = forge_memfd(NULL, PAYLOAD, seals[i]);

		ASSERT_ERRNO(dma_buf_get_split(copy, weak), EINVAL);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "sealed");
		close(weak);
	}
	i = (size_t)forge_memfd(NULL, PAYLOAD / 2, SEALS_OF_A_BUFFER | F_SEAL_FUTURE_WRITE);
	ASSERT_ERRNO(dma_buf_get_split(copy, (int)i), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "bytes");
	close((int)i);
	ASSERT_ERRNO(dma_buf_get_split(copy, 1 << 20), EBADF);
	free(bytes);
	close(copy);
	close(foreign);
	close(payload);
	close(fd);
	dma_buf_put(share);
}
