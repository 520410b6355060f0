// SPDX-License-Identifier: MIT
/* Block devices when things go wrong: full disks, I/O errors, limits, signals, senseless calls. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "block-util.h"
#include "fuse-file.h"

#define KIB 1024ul
#define SIZE (256 * KIB)

static void on_alarm(int sig)
{
}

TEST(H1_block_reap_keeps_its_deadline_and_tells_of_signals)
{
	struct dma_buf_block_completion c;
	struct fuse_file *f;
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		struct sigaction action = { .sa_handler = on_alarm };
		timer_t timer;
		struct itimerspec soon = { { 0, 1000000 }, { 0, 1000000 } };
		struct itimerspec never = { { 0, 0 }, { 0, 0 } };
		struct rig r;

		f = fuse_file_open();
		memset(f->data, 0x5a, sizeof(f->data));
		if (!rig_open(&r, f->fd, &ways[way], 4096)) {
			fuse_file_close(f);
			continue;
		}
		ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, 0), ENOENT);
		stuck_submit(&r, f, 1);
		ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, 0), ETIMEDOUT);
		ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, 20), ETIMEDOUT);
		ASSERT_OK(sigaction(SIGALRM, &action, NULL));
		ASSERT_OK(timer_create(CLOCK_MONOTONIC, NULL, &timer));
		ASSERT_OK(timer_settime(timer, 0, &soon, NULL));
		ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, WAIT_MS), EINTR);
		ASSERT_OK(timer_settime(timer, 0, &never, NULL));
		timer_delete(timer);
		fuse_file_release(f);
		ASSERT_EQ(rig_reap(&r, NULL), 4096);
		ASSERT_EQ(r.cpu[0], 0x5a);
		rig_close(&r);
		fuse_file_close(f);
	}
}

enum { SHARERS = 4, SHARED_TRANSFERS = 500 };

struct shared_rig {
	struct rig r;
	atomic_uint sharers, reaped;
};

static void *sharing_thread(void *data)
{
	struct shared_rig *s = data;
	struct dma_buf_block_completion c[8];
	unsigned int own = atomic_fetch_add(&s->sharers, 1) * SHARED_TRANSFERS, i = 0;
	int err, n, got;

	while (atomic_load(&s->reaped) < SHARERS * SHARED_TRANSFERS) {
		if (i < SHARED_TRANSFERS) {
			/* Each has memory of its own. */
			err = rig_submit(&s->r, DMA_FROM_DEVICE, (own + i) * 4200, 4096 + i % 3, i,
					 i);
			ASSERT(err == 0 || err == -EAGAIN);
			i += err == 0;
		}
		got = dma_buf_block_reap(s->r.dev, c, 1 + i % 8, i % 4 ? 0 : 10);
		ASSERT(got > 0 || got == -ENOENT || got == -ETIMEDOUT);
		for (n = 0; n < got; n++)
			ASSERT(c[n].result >= 4096);
		if (got > 0)
			atomic_fetch_add(&s->reaped, (unsigned int)got);
	}
	return NULL;
}

TEST(H1_block_many_threads_submit_and_reap_on_one_device)
{
	int fd = scratch_file(O_RDWR);
	unsigned int way, i;

	ASSERT_OK(ftruncate(fd, SIZE));
	for (way = 0; way < WAYS; way++) {
		struct shared_rig s = { .reaped = 0 };
		pthread_t threads[SHARERS];

		if (!rig_open_depth(&s.r, fd, &ways[way], SHARERS * SHARED_TRANSFERS * 4200, 8))
			continue;
		for (i = 0; i < SHARERS; i++)
			ASSERT_EQ(pthread_create(&threads[i], NULL, sharing_thread, &s), 0);
		for (i = 0; i < SHARERS; i++)
			pthread_join(threads[i], NULL);
		ASSERT_EQ(atomic_load(&s.reaped), SHARERS * SHARED_TRANSFERS);
		rig_close(&s.r);
	}
	close(fd);
}

TEST(H1_block_worker_threads_block_all_signals)
{
	static const int signals[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE,
				       SIGALRM, SIGTERM, SIGCHLD, SIGXFSZ, SIGIO };
	int fd = scratch_file(O_RDWR), tid, found = 0;
	unsigned long long programs_signals = 0;
	unsigned int i;
	struct rig r;
	char line[128], path[64];

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		programs_signals |= 1ull << (signals[i] - 1);
	ASSERT(rig_open(&r, fd, &ways[2], 4096));
	for (tid = getpid() + 1; tid < getpid() + 100; tid++) {
		unsigned long long blocked = 0;
		FILE *status;

		snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
		status = fopen(path, "re");
		if (!status)
			continue;
		while (fgets(line, sizeof(line), status))
			sscanf(line, "SigBlk: %llx", &blocked);
		fclose(status);
		/* A sanitizer's own thread and signals aside. */
		if ((blocked & programs_signals) == programs_signals)
			found++;
	}
	ASSERT(found >= 8);
	rig_close(&r);
	close(fd);
}

TEST(H1_block_a_limit_on_file_size_is_an_error_and_no_signal_in_the_threads)
{
	struct rlimit old, limit;
	unsigned int way;

	ASSERT_OK(getrlimit(RLIMIT_FSIZE, &old));
	limit = old;
	limit.rlim_cur = 100000;
	for (way = 0; way < WAYS; way++) {
		int fd = scratch_file(O_RDWR);
		struct rig r;

		if (rig_open(&r, fd, &ways[way], SIZE)) {
			/* With io_uring it is the submitting thread that gets the signal. */
			signal(SIGXFSZ,
			       ways[way].method == DMA_BUF_BLOCK_URING ? SIG_IGN : SIG_DFL);
			ASSERT_OK(setrlimit(RLIMIT_FSIZE, &limit));
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, SIZE, 0), -EFBIG);
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 100000, 0), 100000);
			ASSERT_OK(setrlimit(RLIMIT_FSIZE, &old));
			rig_close(&r);
		}
		close(fd);
	}
}

TEST(H1_block_a_full_disk_is_an_error)
{
	char dir[] = "/tmp/dmabuf-block-XXXXXX", path[64];
	unsigned int way;

	if (!own_mounts())
		SKIP("no mounts of our own: %s", strerror(errno));
	for (way = 0; way < WAYS; way++) {
		struct rig r;
		int fd;

		memcpy(strstr(dir, "block-") + 6, "XXXXXX", 6);
		ASSERT(mkdtemp(dir));
		if (mount("none", dir, "tmpfs", 0, "size=128k")) {
			rmdir(dir);
			SKIP("tmpfs: %s", strerror(errno));
		}
		snprintf(path, sizeof(path), "%s/file", dir);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ASSERT_OK(fd);
		if (rig_open(&r, fd, &ways[way], SIZE)) {
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, SIZE, 0), -ENOSPC);
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 4096, 0), 4096);
			rig_close(&r);
		}
		close(fd);
		umount2(dir, MNT_DETACH);
		rmdir(dir);
	}
}

TEST(H1_block_an_io_error_comes_back_with_the_transfer)
{
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		struct fuse_file *f = fuse_file_open();
		struct rig r;

		if (rig_open(&r, f->fd, &ways[way], SIZE)) {
			f->fail_from = 64 * KIB;
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 4096, 64 * KIB), -EIO);
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4096, 64 * KIB), -EIO);
			/* Some bytes came before the error: it is one all the same. */
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 8192, 60 * KIB), -EIO);
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4096, 0), 4096);
			rig_close(&r);
		}
		fuse_file_close(f);
	}
}

TEST(H1_block_memory_that_is_not_there_is_an_io_error)
{
	/* Nothing is mapped at address 0, so there this file cannot be read. Needs no FUSE. */
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned int way;
	struct rig r;

	ASSERT_OK(fd);
	for (way = 0; way < WAYS; way++) {
		if (!rig_open(&r, fd, &ways[way], 4096))
			continue;
		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4096, 0), -EIO);
		rig_close(&r);
	}
	close(fd);
}

static void short_answers(const struct way *way, unsigned int bytes, unsigned int count)
{
	struct fuse_file *f = fuse_file_open();
	unsigned char want[SIZE];
	struct rig r;

	fill(want, SIZE, 31);
	if (rig_open(&r, f->fd, way, SIZE)) {
		f->short_by = bytes;
		memcpy(r.cpu, want, SIZE);
		atomic_store(&f->shorts, count);
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, SIZE, 0), SIZE);
		ASSERT(memcmp(f->data, want, SIZE) == 0);
		ASSERT(atomic_load(&f->shorts) < count);
		memset(r.cpu, 0, SIZE);
		atomic_store(&f->shorts, count);
		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, SIZE, 0), SIZE);
		ASSERT(memcmp(r.cpu, want, SIZE) == 0);
		ASSERT(atomic_load(&f->shorts) < count);
		rig_close(&r);
	}
	fuse_file_close(f);
}

TEST(H1_block_short_transfers_are_continued)
{
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		if (ways[way].buffered)
			continue; /* to the page cache, a short answer is the file's end */
		short_answers(&ways[way], 12288, 3);
		/* Not aligned any more, so the rest goes through the page cache. */
		short_answers(&ways[way], 5000, 1);
	}
}

TEST(H1_block_without_descriptors_open_fails_at_each_step_and_leaves_nothing)
{
	int fd = scratch_file(O_RDWR), before = open_fds(), extra;
	struct rlimit old, limit;
	unsigned int way;

	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &old));
	for (way = 0; way < WAYS; way++) {
		struct dma_buf_block_options o = {
			.size = sizeof(o),
			.method = ways[way].method,
			.buffered = ways[way].buffered,
		};
		struct dma_buf_device *dev = NULL;

		for (extra = 0; extra < 8 && !dev; extra++) {
			int top = dup(fd);

			close(top);
			limit = old;
			limit.rlim_cur = (rlim_t)(top + extra);
			ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
			dev = dma_buf_block_open(fd, "disk", &o);
			if (!dev && errno != EPERM)
				ASSERT_EQ(errno, EMFILE);
			ASSERT_OK(setrlimit(RLIMIT_NOFILE, &old));
			if (!dev)
				ASSERT_EQ(open_fds(), before);
		}
		if (dev)
			ASSERT(extra > 2);
		dma_buf_device_put(dev);
		ASSERT_EQ(open_fds(), before);
	}
	close(fd);
}

TEST(H1_block_open_refuses_what_is_no_disk)
{
	struct dma_buf_block_options o = { .size = sizeof(o) };
	int fd = scratch_file(O_RDWR), sv[2], dir = open("/", O_RDONLY | O_CLOEXEC);
	int path = open("/etc/passwd", O_PATH | O_CLOEXEC);

	socket_pair(SOCK_STREAM, sv);
	ASSERT_ERRNO(dma_buf_block_open(-1, "x", NULL), EBADF);
	ASSERT_ERRNO(dma_buf_block_open(9999, "x", NULL), EBADF);
	ASSERT_ERRNO(dma_buf_block_open(path, "x", NULL), EBADF);
	ASSERT_ERRNO(dma_buf_block_open(sv[0], "x", NULL), ENOTSUP);
	ASSERT_ERRNO(dma_buf_block_open(dir, "x", NULL), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "neither a regular file nor a block device");
	ASSERT_ERRNO(dma_buf_block_open(fd, "", NULL), EINVAL);
	ASSERT_ERRNO(dma_buf_block_open(fd, "a name that is longer than thirty-one", NULL),
		     ENAMETOOLONG);
	o.size = 0;
	ASSERT_ERRNO(dma_buf_block_open(fd, "x", &o), EINVAL);
	o.size = sizeof(o);
	o.depth = DMA_BUF_BLOCK_MAX_DEPTH + 1;
	ASSERT_ERRNO(dma_buf_block_open(fd, "x", &o), EINVAL);
	o.depth = 1;
	o.method = (enum dma_buf_block_method)3;
	ASSERT_ERRNO(dma_buf_block_open(fd, "x", &o), EINVAL);
	close(path);
	close(dir);
	close(sv[0]);
	close(sv[1]);
	close(fd);
}

TEST(H1_block_calls_refuse_what_makes_no_sense)
{
	int rw = scratch_file(O_RDWR), ro = scratch_file(O_RDONLY), wo = scratch_file(O_WRONLY);
	struct dma_buf_block_info info = { .size = sizeof(info) - 1 };
	struct dma_buf_device *cpu = dma_buf_cpu_device();
	struct dma_buf_block_completion c;
	struct dma_buf_attachment *plain;
	struct dma_buf_sg_table *table;
	char text[384];
	struct rig r;

	ASSERT(rig_open(&r, rw, &ways[2], 10000));
	ASSERT_ERR(rig_submit(&r, DMA_BIDIRECTIONAL, 0, 4096, 0, 1), EINVAL);
	ASSERT_ERR(rig_submit(&r, DMA_NONE, 0, 4096, 0, 1), EINVAL);
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 0, 10001, 0, 1), EINVAL);
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 10000, 1, 0, 1), EINVAL);
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, UINT64_MAX, 2, 0, 1), EINVAL);
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 2, UINT64_MAX, 0, 1), EINVAL);
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 0, 2, INT64_MAX, 1), EINVAL);
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 0, 2, UINT64_MAX, 1), EINVAL);
	ASSERT_ERR(dma_buf_block_submit(NULL, r.table, DMA_TO_DEVICE, 0, 1, 0, 1), EINVAL);
	ASSERT_ERR(dma_buf_block_submit(r.attach, NULL, DMA_TO_DEVICE, 0, 1, 0, 1), EINVAL);
	ASSERT_ERR(dma_buf_block_reap(r.dev, NULL, 1, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 0, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, -1), EINVAL);
	ASSERT_ERR(dma_buf_block_reap(NULL, &c, 1, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_reap(cpu, &c, 1, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_sync(cpu), EINVAL);
	ASSERT_ERR(dma_buf_block_get_info(r.dev, NULL), EINVAL);
	ASSERT_ERR(dma_buf_block_get_info(r.dev, &info), EINVAL);
	ASSERT_ERR(dma_buf_block_get_info(cpu, &info), EINVAL);
	ASSERT_ERR(dma_buf_block_describe(cpu, text, sizeof(text)), EINVAL);
	ASSERT_ERR(dma_buf_block_describe(r.dev, NULL, 1), EINVAL);
	ASSERT_ERR(dma_buf_block_describe(r.dev, text, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_describe(r.dev, text, 5), ENOSPC);
	ASSERT_EQ(strlen(text), 4);

	/* Owned by the CPU, or not mapped at all. */
	ASSERT_OK(dma_buf_sync_sg_for_cpu(r.attach, r.table, DMA_BIDIRECTIONAL));
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 0, 4096, 0, 1), EINVAL);
	ASSERT_OK(dma_buf_sync_sg_for_device(r.attach, r.table, DMA_BIDIRECTIONAL));
	plain = dma_buf_attach(r.dmabuf, cpu);
	ASSERT(plain);
	table = dma_buf_map_attachment(plain, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_ERR(dma_buf_block_submit(plain, table, DMA_TO_DEVICE, 0, 4096, 0, 1), EINVAL);
	ASSERT_ERR(dma_buf_block_submit(r.attach, table, DMA_TO_DEVICE, 0, 4096, 0, 1), EINVAL);
	dma_buf_detach(r.dmabuf, plain);
	ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, 0), ENOENT);
	rig_close(&r);

	ASSERT(rig_open(&r, ro, &ways[2], 4096));
	ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 0, 1, 0, 1), EBADF);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "writing");
	rig_close(&r);
	ASSERT(rig_open(&r, wo, &ways[2], 4096));
	ASSERT_ERR(rig_submit(&r, DMA_FROM_DEVICE, 0, 1, 0, 1), EBADF);
	ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 4000, 1), 4000);
	rig_close(&r);
	close(rw);
	close(ro);
	close(wo);
}
