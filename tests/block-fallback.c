// SPDX-License-Identifier: MIT
/* Block devices where the machine gives less: what takes over, and that it says so. */
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "block-util.h"

#define KIB 1024ul
#define SIZE (256 * KIB)

static const struct way automatic = { "automatic", DMA_BUF_BLOCK_AUTO, false };

/* From now on system call @nr fails with @err in this process. */
static void deny(long nr, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	ASSERT_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		SKIP("no seccomp filters here");
}

/* Written and read back, and equal in the file. */
static void works(int fd, const struct way *way)
{
	unsigned char want[SIZE], got[SIZE];
	struct rig r;

	ASSERT(rig_open(&r, fd, way, SIZE));
	fill(want, SIZE, 21);
	memcpy(r.cpu, want, SIZE);
	ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, SIZE, 0), SIZE);
	ASSERT_EQ(pread(fd, got, SIZE, 0), SIZE);
	ASSERT(memcmp(got, want, SIZE) == 0);
	memset(r.cpu, 0, SIZE);
	ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 7, SIZE - 7, 7), SIZE - 7);
	ASSERT(memcmp(r.cpu + 7, want + 7, SIZE - 7) == 0);
	rig_close(&r);
}

static void threads_take_over(long nr, int err)
{
	struct dma_buf_block_options forced = { .size = sizeof(forced),
						.method = DMA_BUF_BLOCK_URING };
	int fd = scratch_file(O_RDWR);
	struct dma_buf_device *dev;

	deny(nr, err);
	works(fd, &automatic);
	dev = dma_buf_block_open(fd, NULL, NULL);
	ASSERT(dev);
	ASSERT_EQ(get_info(dev).method, DMA_BUF_BLOCK_THREADS);
	ASSERT(!get_info(dev).registered);
	ASSERT_STR_CONTAINS(describe(dev), "threads (io_uring: ");
	ASSERT_STR_CONTAINS(describe(dev), strerror(err));
	dma_buf_device_put(dev);
	ASSERT_ERRNO(dma_buf_block_open(fd, NULL, &forced), EPERM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "io_uring");
	close(fd);
}

TEST(H1_block_threads_take_over_where_io_uring_is_denied)
{
	threads_take_over(SYS_io_uring_setup, EPERM);
}

TEST(H1_block_threads_take_over_where_the_kernel_has_no_io_uring)
{
	threads_take_over(SYS_io_uring_setup, ENOSYS);
}

TEST(H1_block_threads_take_over_where_rings_can_be_made_but_not_used)
{
	threads_take_over(SYS_io_uring_enter, EACCES);
}

/* A ring that keeps no device lock could not say when the transfers of the dead have ended. */
TEST(H1_block_threads_take_over_where_nothing_can_be_registered)
{
	threads_take_over(SYS_io_uring_register, EPERM);
}

/* A ring that stops taking requests while the device is in use: an error, no hang. */
TEST(H1_block_io_uring_forbidden_later_is_an_error_and_no_hang)
{
	int fd = scratch_file(O_RDWR);
	struct rig r;

	ASSERT_OK(ftruncate(fd, SIZE));
	if (rig_open(&r, fd, &ways[0], SIZE)) {
		struct dma_buf_block_completion c;

		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, SIZE, 0), SIZE);
		deny(SYS_io_uring_enter, EPERM);
		ASSERT_OK(rig_submit(&r, DMA_FROM_DEVICE, 0, SIZE, 0, 5));
		ASSERT_EQ(dma_buf_block_reap(r.dev, &c, 1, WAIT_MS), 1);
		ASSERT_EQ(c.cookie, 5);
		ASSERT_EQ(c.result, -EPERM);
		ASSERT_ERR(rig_submit(&r, DMA_FROM_DEVICE, 0, SIZE, 0, 6), EPERM);
		ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, 0), ENOENT);
		rig_close(&r);
	}
	close(fd);
}

static void drop_capability(unsigned int capability)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	ASSERT_OK(syscall(SYS_capget, &head, data));
	data[0].effective &= ~(1u << capability);
	data[0].permitted &= ~(1u << capability);
	ASSERT_OK(syscall(SYS_capset, &head, data));
}

static void with_memlock(size_t limit)
{
	struct rlimit r = { limit, limit };

	/* Memory that may be locked is not limited for its holders. */
	drop_capability(CAP_IPC_LOCK);
	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &r));
}

TEST(H1_block_buffers_stay_unregistered_beyond_the_limit_of_locked_memory)
{
	int fd = scratch_file(O_RDWR);
	struct rig r;

	/* Room for the ring, not for a buffer. */
	with_memlock(SIZE / 2);
	works(fd, &automatic);
	ASSERT(rig_open(&r, fd, &automatic, SIZE));
	if (get_info(r.dev).method == DMA_BUF_BLOCK_URING) {
		ASSERT(!get_info(r.dev).registered);
		ASSERT_STR_CONTAINS(describe(r.dev), "RLIMIT_MEMLOCK, 131072 bytes");
		ASSERT_STR_CONTAINS(describe(r.dev), "not registered");
	}
	rig_close(&r);
	close(fd);
}

TEST(H1_block_unmapping_gives_the_locked_memory_back)
{
	int i, fd = scratch_file(O_RDWR);
	struct rig r;

	/* Room for one buffer of this size, not for two; the ring may count too. */
	with_memlock(SIZE + SIZE / 2);
	if (rig_open(&r, fd, &ways[0], SIZE)) {
		if (!get_info(r.dev).registered)
			SKIP("%s", describe(r.dev));
		for (i = 0; i < 20; i++) {
			struct dma_buf *other;
			struct dma_buf_attachment *attach;

			ASSERT_OK(dma_buf_unmap_attachment(r.attach, r.table, DMA_BIDIRECTIONAL));
			dma_buf_detach(r.dmabuf, r.attach);
			other = dma_buf_alloc("other", SIZE, O_RDWR);
			attach = dma_buf_attach(other, r.dev);
			ASSERT(attach);
			ASSERT(dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL));
			dma_buf_detach(other, attach);
			dma_buf_put(other);
			r.attach = dma_buf_attach(r.dmabuf, r.dev);
			ASSERT(r.attach);
			r.table = dma_buf_map_attachment(r.attach, DMA_BIDIRECTIONAL);
			ASSERT(r.table);
		}
		ASSERT(get_info(r.dev).registered);
		rig_close(&r);
	}
	close(fd);
}

TEST(H1_block_more_buffers_than_can_be_registered_work_and_it_is_said)
{
	enum { MANY = 70 };
	struct dma_buf *buffers[MANY];
	int i, fd = scratch_file(O_RDWR);
	struct rig r;

	ASSERT_OK(ftruncate(fd, 4096));
	if (rig_open(&r, fd, &ways[0], 4096)) {
		for (i = 0; i < MANY; i++) {
			struct dma_buf_attachment *attach;
			struct dma_buf_sg_table *table;

			buffers[i] = dma_buf_alloc("many", 4096, O_RDWR);
			ASSERT(buffers[i]);
			attach = dma_buf_attach(buffers[i], r.dev);
			ASSERT(attach);
			table = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);
			ASSERT(table);
			ASSERT_OK(dma_buf_block_submit(attach, table, DMA_FROM_DEVICE, 0, 4096, 0,
						       1));
			ASSERT_EQ(rig_reap(&r, NULL), 4096);
		}
		ASSERT_STR_CONTAINS(describe(r.dev), "not all registered (too many)");
		for (i = 0; i < MANY; i++)
			dma_buf_put(buffers[i]);
		rig_close(&r);
	}
	close(fd);
}

TEST(H1_block_a_file_without_o_direct_goes_through_the_page_cache)
{
	/* procfs knows no O_DIRECT. */
	int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
	unsigned char want[512];
	unsigned int way;
	ssize_t n;

	ASSERT_OK(fd);
	n = pread(fd, want, sizeof(want), 0);
	ASSERT(n > 0);
	for (way = 0; way < WAYS; way++) {
		struct rig r;

		if (!rig_open(&r, fd, &ways[way], 4096))
			continue;
		ASSERT(!get_info(r.dev).direct);
		ASSERT_EQ(get_info(r.dev).offset_alignment, 1);
		if (!ways[way].buffered)
			ASSERT_STR_CONTAINS(describe(r.dev),
					    "page cache (O_DIRECT was refused: Invalid argument)");
		else
			ASSERT_STR_CONTAINS(describe(r.dev), "page cache (as asked)");
		ASSERT_EQ(dma_buf_device_get_parameters(r.dev)->address_alignment, 0);
		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4096, 0), n);
		ASSERT(memcmp(r.cpu, want, (size_t)n) == 0);
		ASSERT_EQ(get_info(r.dev).bounced, n);
		rig_close(&r);
	}
	close(fd);
}

/* False if there can be no such file system here. */
static bool on_file_system(const char *type, const char *options, const char *words)
{
	char dir[] = "/tmp/dmabuf-block-XXXXXX", path[64];
	struct dma_buf_device *dev;
	unsigned int way;
	int fd;

	if (!own_mounts())
		return false;
	ASSERT(mkdtemp(dir));
	if (mount("none", dir, type, 0, options)) {
		rmdir(dir);
		return false;
	}
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	ASSERT_OK(fd);
	for (way = 0; way < WAYS; way++)
		works(fd, &ways[way]);
	dev = dma_buf_block_open(fd, NULL, NULL);
	ASSERT(dev);
	test_note("%s: %s", type, describe(dev));
	ASSERT_STR_CONTAINS(describe(dev), words);
	dma_buf_device_put(dev);
	close(fd);
	return true;
}

TEST(H1_block_without_a_disk_below_limits_are_conservative_and_it_is_said)
{
	if (!on_file_system("tmpfs", "size=4m", "device 0:"))
		SKIP("tmpfs cannot be mounted");
}

TEST(H1_block_overlay_works_and_says_where_its_limits_come_from)
{
	const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : ".";
	char base[256], options[1024];
	char *upper, *work;
	bool done;

	snprintf(base, sizeof(base), "%s/dmabuf-overlay-XXXXXX", tmp);
	ASSERT(mkdtemp(base));
	ASSERT(asprintf(&upper, "%s/upper", base) > 0 && asprintf(&work, "%s/work", base) > 0);
	ASSERT_OK(mkdir(upper, 0700));
	ASSERT_OK(mkdir(work, 0700));
	snprintf(options, sizeof(options), "lowerdir=/etc,upperdir=%s,workdir=%s", upper, work);
	done = on_file_system("overlay", options, "");
	free(upper);
	free(work);
	ASSERT_EQ(reap(spawn_exec((char *[]){ "rm", "-rf", base, NULL }, NULL)), 0);
	if (!done)
		SKIP("overlay cannot be mounted");
}

TEST(H1_block_a_file_that_cannot_be_opened_anew_is_used_as_it_is)
{
	int fd = scratch_file(O_RDWR), append, direct;
	char path[64];
	struct rig r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_OK(fchmod(fd, 0));
	drop_capability(CAP_DAC_OVERRIDE);
	drop_capability(CAP_DAC_READ_SEARCH);
	ASSERT(rig_open(&r, fd, &ways[2], 4096));
	ASSERT(!get_info(r.dev).direct);
	ASSERT_STR_CONTAINS(describe(r.dev), "cannot be opened anew: Permission denied");
	ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 4096, 4096), 4096);
	ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 1, 3000, 4096), 3000);
	/* Positions would not be kept, or alignment would be needed. */
	ASSERT_ERRNO(dma_buf_block_open(append, NULL, NULL), EACCES);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "O_APPEND");
	if (direct >= 0) {
		ASSERT_ERRNO(dma_buf_block_open(direct, NULL, NULL), EACCES);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "O_DIRECT");
		close(direct);
	}
	rig_close(&r);
	close(append);
	close(fd);
}

TEST(H1_block_the_callers_descriptor_keeps_its_flags)
{
	int fd = scratch_file(O_RDWR | O_APPEND), flags = fcntl(fd, F_GETFL);
	struct rig r;

	ASSERT_EQ(write(fd, "0123456789", 10), 10);
	ASSERT(rig_open(&r, fd, &automatic, 8192));
	memset(r.cpu, 'x', 8192);
	ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 4097, 0), 4097);
	ASSERT_EQ(fcntl(fd, F_GETFL), flags);
	ASSERT_EQ(lseek(fd, 0, SEEK_END), 4097);
	close(fd);
	/* Closed, and the device goes on. */
	ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4097, 0), 4097);
	rig_close(&r);
}
