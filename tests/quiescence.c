// SPDX-License-Identifier: MIT
/*
 * Processes killed in the middle of transfers into a buffer that they hold (row D5): nobody is ever
 * granted memory that changes afterwards. The file answers when the test says so, after the death;
 * on a real disk the death comes as it may.
 */
#include <dmabuf.h>

#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>

#include "fuse-file.h"
#include "loop-disk.h"
#include "peer.h"

#define PIECES 64
#define FILLING 0x5a
#define SAMPLED_MS 1000

/* What the victim does, and where. */
struct scene {
	struct fuse_file *f;
	int file;
	const struct way *way;
	size_t piece;
	bool direct;
	unsigned int type;
};

static bool has_arrived(void *data)
{
	return atomic_load(&((struct scene *)data)->f->arrived) > 0;
}

__attribute__((noreturn)) static void in_flight(struct scene *s, struct peer *peer)
{
	if (s->f)
		ASSERT(eventually(has_arrived, s, WAIT_MS));
	peer_tell(peer);
	for (;;)
		pause();
}

static void take(const struct scene *s, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "camera");

	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, s->type));
	ASSERT_OK(dmabuf_sync_lock(sync));
}

/* The library's block device. */
static int by_device(struct peer *peer, struct dma_buf *dmabuf)
{
	struct scene *s = peer->arg;
	struct dma_buf_block_options o = { .size = sizeof(o),
					   .method = s->way->method,
					   .depth = PIECES,
					   .buffered = s->way->buffered };
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_device *dev = dma_buf_block_open(s->file, NULL, &o);
	unsigned int i;

	ASSERT(dev);
	attach = dma_buf_attach(dmabuf, dev);
	ASSERT(attach);
	table = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);
	ASSERT(table);
	take(s, dmabuf);
	for (i = 0; i < PIECES; i++)
		ASSERT_OK(dma_buf_block_submit(attach, table, DMA_FROM_DEVICE, i * s->piece,
					       s->piece, i * s->piece, i));
	in_flight(s, peer);
}

/* A ring of the program's own, with the device lock among its files. */
static int by_own_ring(struct peer *peer, struct dma_buf *dmabuf)
{
	struct scene *s = peer->arg;
	char path[64], *bytes = dma_buf_vmap(dmabuf);
	int i, file, lock = dma_buf_device_lock_fd(dmabuf, O_CLOEXEC);
	struct io_uring ring;

	ASSERT(bytes);
	ASSERT_OK(lock);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->file);
	file = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ASSERT_OK(file);
	if (io_uring_queue_init(PIECES, &ring, 0))
		SKIP("no io_uring");
	ASSERT_OK(io_uring_ring_dontfork(&ring));
	ASSERT_OK(io_uring_register_files(&ring, &lock, 1));
	close(lock);
	take(s, dmabuf);
	for (i = 0; i < PIECES; i++)
		io_uring_prep_read(io_uring_get_sqe(&ring), file, bytes + (size_t)i * s->piece,
				   (unsigned int)s->piece, (uint64_t)i * s->piece);
	ASSERT_OK(io_uring_submit(&ring));
	in_flight(s, peer);
}

/* The same, queued: nobody in the program has to wait for it, and then nobody lives to. */
static int by_queued_job(struct peer *peer, struct dma_buf *dmabuf)
{
	struct scene *s = peer->arg;
	struct dma_buf_block_options o = { .size = sizeof(o), .method = s->way->method };
	struct dma_buf_block_job job = { .struct_size = sizeof(job),
					 .direction = DMA_FROM_DEVICE,
					 .length = PIECES * s->piece };
	struct dma_buf_device *dev = dma_buf_block_open(s->file, NULL, &o);
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_fence *fence;

	ASSERT(dev);
	attach = dma_buf_attach(dmabuf, dev);
	ASSERT(attach);
	table = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);
	ASSERT(table);
	ASSERT_OK(dma_buf_block_queue(attach, table, &job, &fence));
	in_flight(s, peer);
}

struct reader {
	struct scene *s;
	int file;
	char *bytes;
	unsigned int piece;
};

static void *read_thread(void *data)
{
	struct reader *r = data;
	size_t at = r->piece * r->s->piece;

	for (;;)
		if (pread(r->file, r->bytes + at, r->s->piece, (off_t)at) < 0)
			FAIL("pread: %s", strerror(errno));
}

/* Threads inside a system call. */
static int by_threads(struct peer *peer, struct dma_buf *dmabuf)
{
	static struct reader readers[4];
	struct scene *s = peer->arg;
	char path[64], *bytes = dma_buf_vmap(dmabuf);
	unsigned int i;
	pthread_t thread;
	int file;

	ASSERT(bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->file);
	file = open(path, O_RDONLY | O_CLOEXEC | (s->direct ? O_DIRECT : 0));
	ASSERT_OK(file);
	take(s, dmabuf);
	for (i = 0; i < 4; i++) {
		readers[i] = (struct reader){ s, file, bytes, i };
		ASSERT_EQ(pthread_create(&thread, NULL, read_thread, &readers[i]), 0);
	}
	in_flight(s, peer);
}

static unsigned int landed(const unsigned char *bytes, size_t size)
{
	unsigned int pages = 0;
	size_t i;

	for (i = 0; i < size; i += 4096)
		pages += bytes[i] == FILLING;
	return pages;
}

/* What was granted stays as it is. */
static unsigned int sample(const unsigned char *bytes, unsigned char *copy, size_t size)
{
	int64_t until = now_ms() + SAMPLED_MS;

	memcpy(copy, bytes, size);
	while (now_ms() < until)
		ASSERT(memcmp(bytes, copy, size) == 0);
	return landed(copy, size);
}

static struct dma_buf *clean_buffer(size_t size)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", size, O_RDWR);

	ASSERT(dmabuf);
	return dmabuf;
}

/* The file answers only after the death was seen; @waits: until then nobody gets the buffer. */
static unsigned int killed_before_the_answer(struct scene *s,
					     int (*fn)(struct peer *, struct dma_buf *), bool waits)
{
	size_t size = PIECES * s->piece;
	struct dma_buf *dmabuf = clean_buffer(size);
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "display");
	unsigned char *bytes = dma_buf_vmap(dmabuf), *copy = malloc(size);
	unsigned int pages;
	struct peer peer;
	int err;

	ASSERT(sync && bytes && copy);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R));
	atomic_store(&s->f->arrived, 0);
	atomic_store(&s->f->hold, true);
	peer_start(&peer, dmabuf, fn, s);
	peer_wait(&peer);
	kill(peer.pid, SIGKILL);
	err = dmabuf_sync_lock_timeout(sync, 300);
	if (waits)
		ASSERT_ERR(err, ETIMEDOUT);
	ASSERT_EQ(landed(bytes, size), 0);
	fuse_file_release(s->f);
	if (err == -ETIMEDOUT)
		err = dmabuf_sync_lock_timeout(sync, WAIT_MS);
	ASSERT_ERR(err, EOWNERDEAD);
	pages = sample(bytes, copy, size);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	close(peer.socket);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	free(copy);
	dma_buf_vunmap(dmabuf, bytes);
	dma_buf_put(dmabuf);
	return pages;
}

static void open_scene(struct scene *s, unsigned int way, unsigned int type, uint32_t flags)
{
	*s = (struct scene){ .way = &ways[way], .piece = 16384, .type = type };
	s->f = fuse_file_open_with(flags);
	memset(s->f->data, FILLING, sizeof(s->f->data));
	s->file = s->f->fd;
}

/* Transfers that nobody waits for: the process is gone, and its ring is not. */
TEST(D5_requests_of_a_ring_of_ones_own_land_before_the_buffer_is_granted)
{
	struct scene s;

	open_scene(&s, 0, DMA_BUF_ACCESS_DMA_W, FUSE_ASYNC_DIO);
	ASSERT_EQ(killed_before_the_answer(&s, by_own_ring, true), PIECES * 4);
	fuse_file_close(s.f);
}

static void to_a_disk(int (*fn)(struct peer *, struct dma_buf *))
{
	struct dma_buf_block_options o = { .size = sizeof(o), .method = DMA_BUF_BLOCK_URING };
	struct dma_buf_device *dev;
	struct scene s;

	open_scene(&s, 0, DMA_BUF_ACCESS_DMA_W, 0);
	s.file = loop_open(s.f->fd, 512);
	if (s.file < 0)
		SKIP("no loop device: %s", strerror(errno));
	dev = dma_buf_block_open(s.file, NULL, &o);
	if (!dev)
		SKIP("%s", dmabuf_last_error());
	dma_buf_device_put(dev);
	ASSERT_EQ(killed_before_the_answer(&s, fn, true), PIECES * 4);
	close(s.file);
	fuse_file_close(s.f);
}

TEST(D5_requests_to_a_disk_land_before_the_buffer_is_granted)
{
	to_a_disk(by_device);
}

TEST(D5_queued_transfers_land_before_the_buffer_is_granted)
{
	to_a_disk(by_queued_job);
}

/* Here threads wait inside of the kernel, io_uring's or the library's. */
TEST_TIMEOUT(D5_requests_that_threads_wait_for_land_before_the_buffer_is_granted, 300)
{
	struct scene s;
	unsigned int way, pages;

	for (way = 0; way < WAYS; way++) {
		open_scene(&s, way, DMA_BUF_ACCESS_DMA_W, 0);
		pages = killed_before_the_answer(&s, by_device, false);
		test_note("%s: %u pages", ways[way].name, pages);
		if (!ways[way].buffered)
			ASSERT(pages > 0);
		fuse_file_close(s.f);
	}
}

TEST_TIMEOUT(D5_sibling_threads_inside_pread_land_before_the_buffer_is_granted, 300)
{
	struct scene s;
	int direct;

	for (direct = 0; direct < 2; direct++) {
		open_scene(&s, 0, DMA_BUF_ACCESS_W, 0);
		s.direct = direct;
		test_note("%s: %u pages", direct ? "O_DIRECT" : "page cache",
			  killed_before_the_answer(&s, by_threads, direct));
		fuse_file_close(s.f);
	}
}

/* As it comes: a real file, large reads, killed at once. */
static unsigned int killed_at_once(struct scene *s, int (*fn)(struct peer *, struct dma_buf *))
{
	size_t size = PIECES * s->piece;
	struct dma_buf *dmabuf = clean_buffer(size);
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "display");
	unsigned char *bytes = dma_buf_vmap(dmabuf), *copy = malloc(size);
	unsigned int pages;
	struct peer peer;

	ASSERT(sync && bytes && copy);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R));
	peer_start(&peer, dmabuf, fn, s);
	peer_wait(&peer);
	kill(peer.pid, SIGKILL);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, WAIT_MS), EOWNERDEAD);
	pages = sample(bytes, copy, size);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	close(peer.socket);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	free(copy);
	dma_buf_vunmap(dmabuf, bytes);
	dma_buf_put(dmabuf);
	return pages;
}

static void many_deaths(struct scene *s, int (*fn)(struct peer *, struct dma_buf *),
			unsigned int rounds)
{
	size_t size = PIECES * s->piece;
	unsigned char *filling = malloc(size);
	unsigned int i;

	ASSERT(filling);
	memset(filling, FILLING, size);
	s->file = scratch_file(O_RDWR);
	put_file(s->file, filling, size);
	free(filling);
	for (i = 0; i < rounds; i++)
		test_note("round %u: %u of %zu pages when granted", i, killed_at_once(s, fn),
			  size / 4096);
	close(s->file);
}

TEST_TIMEOUT(D5_64_large_reads_in_flight_at_death_never_change_granted_memory, 300)
{
	struct scene s = { .way = &ways[0], .piece = 512 * 1024, .type = DMA_BUF_ACCESS_DMA_W };

	many_deaths(&s, by_device, 6);
}

TEST_TIMEOUT(D5_threads_reading_a_disk_at_death_never_change_granted_memory, 300)
{
	struct scene s = { .way = &ways[0], .piece = 512 * 1024, .type = DMA_BUF_ACCESS_W };

	s.direct = true;
	many_deaths(&s, by_threads, 3);
	s.direct = false;
	many_deaths(&s, by_threads, 3);
}
