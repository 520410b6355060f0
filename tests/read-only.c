// SPDX-License-Identifier: MIT
/*
 * The read-only share: its exporter writes, and nobody else, whatever they try. Rows A1, A3, B3.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"

#define SIZE 65536
#define PATTERN 0x5a

/* What an attacker has: a handle, a descriptor of the payload, and a mapping of it. */
struct hold {
	struct dma_buf *dmabuf;
	int payload;
	char *bytes;
};

/* The call fails, and does so without taking the process along. */
#define FAILS(call)                                                                              \
	do {                                                                                     \
		if ((intptr_t)(call) >= 0)                                                       \
			test_fail(__FILE__, __LINE__, "a holder of a read-only share could: %s", \
				  #call);                                                        \
	} while (0)

static void attack_write(struct hold *h, int fd)
{
	struct iovec iov = { (void *)"x", 1 };
	int pipes[2], file = memfd_create("source", MFD_CLOEXEC);
	off_t zero = 0;

	FAILS(write(fd, "x", 1));
	FAILS(pwrite(fd, "x", 1, 100));
	FAILS(writev(fd, &iov, 1));
	FAILS(pwritev2(fd, &iov, 1, 0, 0));
	ASSERT_EQ(write(file, "hello", 5), 5);
	lseek(file, 0, SEEK_SET);
	FAILS(sendfile(fd, file, &zero, 5));
	FAILS(copy_file_range(file, &(off_t){ 0 }, fd, &(off_t){ 0 }, 5, 0));
	ASSERT_OK(pipe2(pipes, O_CLOEXEC));
	ASSERT_EQ(write(pipes[1], "hello", 5), 5);
	FAILS(splice(pipes[0], NULL, fd, &(off_t){ 0 }, 5, SPLICE_F_NONBLOCK));
	close(pipes[0]);
	close(pipes[1]);
	close(file);
}

static void attack_size_and_seals(struct hold *h, int fd)
{
	static const int modes[] = { 0,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_COLLAPSE_RANGE,
				     FALLOC_FL_INSERT_RANGE };
	struct stat st;
	unsigned int i;

	/* Without a mode nothing is changed that is there already; else it must fail. */
	for (i = 1; i < sizeof(modes) / sizeof(modes[0]); i++)
		FAILS(fallocate(fd, modes[i], 0, 4096));
	FAILS(fallocate(fd, 0, 0, SIZE * 2));
	FAILS(ftruncate(fd, 0));
	FAILS(ftruncate(fd, SIZE * 2));
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_OK(fstat(fd, &st));
	ASSERT_EQ(st.st_size, SIZE);
}

static void attack_map(struct hold *h, int fd)
{
	char *private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *reader = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

	ASSERT(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	ASSERT(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	ASSERT(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, fd, 0) == MAP_FAILED);
	ASSERT(reader != MAP_FAILED && private != MAP_FAILED);
	memset(private, 0xee, SIZE); /* a copy of one's own is nobody's business */
	FAILS(mprotect(reader, SIZE, PROT_READ | PROT_WRITE));
	FAILS(mprotect(reader, SIZE, PROT_WRITE));
	FAILS(mprotect(h->bytes, SIZE, PROT_READ | PROT_WRITE));
	FAILS(madvise(reader, SIZE, MADV_REMOVE));
	FAILS(madvise(h->bytes, SIZE, MADV_REMOVE));
	madvise(h->bytes, SIZE, MADV_DONTNEED);
	madvise(reader, SIZE, MADV_DONTNEED);
	syscall(SYS_remap_file_pages, reader, 4096, 0, 1, 0);
	reader = mremap(reader, SIZE, SIZE / 2, MREMAP_MAYMOVE);
	ASSERT(reader != MAP_FAILED);
	FAILS(mprotect(reader, SIZE / 2, PROT_READ | PROT_WRITE));
	munmap(reader, SIZE / 2);
	munmap(private, SIZE);
}

static void attack_reopen(struct hold *h, pid_t pid, int number)
{
	char path[64];
	int fd;

	fchmod(h->payload, 0777);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	attack_write(h, fd);
	attack_map(h, fd);
	attack_size_and_seals(h, fd);
	close(fd);
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0) {
		FAILS(write(fd, "x", 1));
		close(fd);
	}
}

/* Through the kernel, which does not look at the page's protection. */
static void attack_memory(struct hold *h)
{
	struct iovec from = { (void *)"hello", 5 }, to = { h->bytes, 5 };
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC), pipes[2];
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	if (mem >= 0) {
		FAILS(pwrite(mem, "hello", 5, (off_t)(intptr_t)h->bytes));
		close(mem);
	}
	FAILS(process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	FAILS(read(zero, h->bytes, 4096));
	ASSERT_EQ(errno, EFAULT);
	ASSERT_OK(pipe2(pipes, O_CLOEXEC));
	to.iov_len = 5;
	ASSERT_EQ(vmsplice(pipes[1], &to, 1, SPLICE_F_GIFT), 5);
	FAILS(read(pipes[0], h->bytes, 5));
	close(pipes[0]);
	close(pipes[1]);
	close(zero);
}

/* A child that may be traced, with the same mapping. */
static void attack_ptrace(struct hold *h)
{
	char *inherited = dma_buf_mmap(h->dmabuf, 0, 4096, PROT_READ);
	int status;
	pid_t pid;

	ASSERT(inherited);
	pid = fork();
	ASSERT_OK(pid);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
			raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	if (WIFSTOPPED(status)) {
		errno = 0;
		ptrace(PTRACE_PEEKDATA, pid, inherited, NULL);
		ASSERT_EQ(errno, 0);
		FAILS(ptrace(PTRACE_POKEDATA, pid, inherited, (void *)0x1234));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	ASSERT_OK(dma_buf_munmap(inherited, 4096));
}

static void attack_userfault(struct hold *h)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register where = { .range = { (uintptr_t)h->bytes, SIZE },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return;
	if (ioctl(fd, UFFDIO_API, &api) == 0)
		FAILS(ioctl(fd, UFFDIO_REGISTER, &where));
	close(fd);
}

static void attack_through_the_library(struct hold *h)
{
	struct dma_buf_attachment *attach = dma_buf_attach(h->dmabuf, dma_buf_cpu_device());

	ASSERT(attach);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_FROM_DEVICE), EACCES);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL), EACCES);
	ASSERT_ERR(dma_buf_begin_cpu_access(h->dmabuf, 0, 1, DMA_TO_DEVICE), EACCES);
	ASSERT_ERR(dma_buf_begin_cpu_access(h->dmabuf, 0, 1, DMA_BIDIRECTIONAL), EACCES);
	ASSERT_ERRNO(dma_buf_mmap(h->dmabuf, 0, SIZE, PROT_READ | PROT_WRITE), EACCES);
	ASSERT_ERRNO(dma_buf_mmap(h->dmabuf, 0, SIZE, PROT_WRITE), EACCES);
	dma_buf_detach(h->dmabuf, attach);
}

static int try_everything(struct peer *peer, struct dma_buf *dmabuf)
{
	struct hold h = { .dmabuf = dmabuf };
	size_t i;

	h.payload = dma_buf_payload_fd(dmabuf, O_CLOEXEC);
	h.bytes = dma_buf_vmap(dmabuf);
	ASSERT_OK(h.payload);
	ASSERT(h.bytes);
	attack_through_the_library(&h);
	attack_write(&h, h.payload);
	attack_size_and_seals(&h, h.payload);
	attack_map(&h, h.payload);
	attack_memory(&h);
	attack_ptrace(&h);
	attack_userfault(&h);
	attack_reopen(&h, getpid(), h.payload);
	attack_reopen(&h, getppid(), *(int *)peer->arg);
	for (i = 0; i < SIZE; i++)
		ASSERT_EQ(h.bytes[i], PATTERN);
	close(h.payload);
	dma_buf_put(dmabuf);
	return 0;
}

static void share_and_defend(void)
{
	struct dma_buf *dmabuf = dma_buf_alloc("page", SIZE, O_RDONLY);
	int payload = dma_buf_payload_fd(dmabuf, O_CLOEXEC);
	char *bytes = dma_buf_vmap(dmabuf);
	struct peer peer;
	size_t i;

	ASSERT(bytes);
	memset(bytes, PATTERN, SIZE);
	peer_start(&peer, dmabuf, try_everything, &payload);
	peer_end(&peer);
	for (i = 0; i < SIZE; i++)
		ASSERT_EQ(bytes[i], PATTERN);
	close(payload);
	dma_buf_put(dmabuf);
}

TEST(A1_a_holder_cannot_write_a_read_only_share_whatever_it_tries)
{
	share_and_defend();
}

TEST(A1_nor_can_a_holder_of_the_same_unprivileged_user)
{
	if (geteuid() == 0 && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
		SKIP("cannot drop root");
	ASSERT_OK(prctl(PR_SET_DUMPABLE, 1));
	share_and_defend();
}

TEST(A1_the_exporter_writes_but_hands_out_no_writable_mapping)
{
	struct dma_buf *dmabuf = dma_buf_alloc("page", SIZE, O_RDONLY);
	const char *reader;
	char *bytes;

	ASSERT_EQ(dmabuf->flags, O_RDONLY);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 0, SIZE, PROT_READ | PROT_WRITE), EACCES);
	reader = dma_buf_mmap(dmabuf, 0, SIZE, PROT_READ);
	ASSERT(reader);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_TO_DEVICE));
	bytes = dma_buf_vmap(dmabuf);
	bytes[SIZE - 1] = 3;
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_TO_DEVICE));
	ASSERT_EQ(reader[SIZE - 1], 3);
	ASSERT_OK(dma_buf_munmap((void *)reader, SIZE));
	dma_buf_put(dmabuf);
}

static int take_part(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	const char *bytes;

	ASSERT_EQ(dmabuf->flags, O_RDONLY);
	ASSERT(table);
	ASSERT_EQ(dma_buf_sg_length(table), SIZE);
	ASSERT_EQ(*(const char *)(uintptr_t)table->sgl[0].dma_address, PATTERN);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	bytes = dma_buf_kmap(dmabuf, 3);
	ASSERT_EQ(bytes[9], PATTERN);
	peer_tell(peer);
	peer_wait(peer);
	ASSERT_EQ(bytes[9], 77); /* the exporter's later writes are seen */
	dma_buf_kunmap(dmabuf, 3, (void *)bytes);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(A1_a_holder_of_a_read_only_share_takes_part)
{
	struct dma_buf *dmabuf = dma_buf_alloc("page", SIZE, O_RDONLY);
	char *bytes = dma_buf_vmap(dmabuf);
	struct dma_buf_info info;
	struct peer peer;

	memset(bytes, PATTERN, SIZE);
	peer_start(&peer, dmabuf, take_part, NULL);
	peer_wait(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 2);
	ASSERT_EQ(info.attachment_count, 1);
	ASSERT_EQ(info.holders[info.attachments[0].holder].pid, peer.pid);
	bytes[3 * sysconf(_SC_PAGESIZE) + 9] = 77;
	peer_tell(&peer);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

static int expect_refusals(struct peer *peer, struct dma_buf *dmabuf)
{
	int *fds = peer->arg, i;

	dma_buf_put(dmabuf);
	ASSERT_ERRNO(dma_buf_get(fds[0]), ENODATA);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "dma_buf_get_split");
	for (i = 2; fds[i] >= 0; i++)
		ASSERT_ERRNO(dma_buf_get_split(fds[0], fds[i]), EINVAL);
	ASSERT_ERRNO(dma_buf_get_split(fds[0], 9999), EBADF);
	dmabuf = dma_buf_get_split(fds[0], fds[1]);
	ASSERT(dmabuf);
	ASSERT_EQ(*(char *)dma_buf_vmap(dmabuf), PATTERN);
	dma_buf_put(dmabuf);
	return 0;
}

static int forged(size_t size, int seals)
{
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ASSERT_OK(fd);
	ASSERT_OK(ftruncate(fd, (off_t)size));
	if (seals)
		ASSERT_OK(fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

TEST(A3_a_forged_payload_is_refused)
{
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;
	struct dma_buf *dmabuf = dma_buf_alloc("page", SIZE, O_RDONLY);
	struct dma_buf *other = dma_buf_alloc("other", SIZE, O_RDONLY);
	struct dma_buf *plain = dma_buf_alloc("plain", SIZE, O_RDWR);
	int fds[16], n = 0, i;
	struct peer peer;

	memset(dma_buf_vmap(dmabuf), PATTERN, SIZE);
	fds[n++] = dma_buf_fd(dmabuf, O_CLOEXEC);
	fds[n++] = dma_buf_payload_fd(dmabuf, O_CLOEXEC);
	fds[n++] = forged(SIZE, 0);
	fds[n++] = forged(SIZE, all);
	fds[n++] = forged(SIZE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	fds[n++] = forged(SIZE - 4096, all);
	fds[n++] = forged(SIZE + 4096, all);
	fds[n++] = dma_buf_payload_fd(other, O_CLOEXEC);
	fds[n++] = dma_buf_payload_fd(plain, O_CLOEXEC);
	fds[n++] = dma_buf_fd(dmabuf, O_CLOEXEC);
	fds[n++] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	fds[n] = -1;
	peer_start(&peer, dmabuf, expect_refusals, fds);
	peer_end(&peer);
	for (i = 0; i < n; i++)
		close(fds[i]);
	dma_buf_put(dmabuf);
	dma_buf_put(other);
	dma_buf_put(plain);
}
