// SPDX-License-Identifier: MIT
/*
 * Single calls within one process: what a frame costs where everything is in place. The first case
 * is the unit to compare with: a system call that does nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/pool.h>

#include "bench.h"
#include "memfd.h"

#define SIZE 3110400
#define MANY 16

/* All but the place that a case needs. */
#define OTHERS (DMA_BUF_MAX_ATTACHMENTS - 1)

static struct dma_buf *buffer, *kept_buffer, *shared_buffer, *many[MANY];
static struct dma_buf_device *picky;
static struct dma_buf_access accesses[MANY];
static struct dma_buf_attachment *attachment, *kept_attachment;
static struct dma_buf_pool *pool;
static int buffer_fd;

static void nothing(struct dma_buf *dmabuf)
{
}

/* An exporter that keeps its tables (mission row A5). */
static struct dma_buf *export_kept(void)
{
	static const struct dma_buf_ops ops = {
		.cache_sgt_mapping = true,
		.map_dma_buf = dma_buf_memory_map,
		.unmap_dma_buf = dma_buf_memory_unmap,
		.release = nothing,
		.kmap_atomic = dma_buf_memory_kmap,
		.kmap = dma_buf_memory_kmap,
	};
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.exp_name = "bench";
	info.ops = &ops;
	info.size = SIZE;
	info.flags = O_RDWR;
	info.priv = &accesses;
	return dma_buf_export(&info);
}

/* As many devices with needs as can be, but for one. */
static void share_buffer(void)
{
	struct dma_buf_device_parameters needs = { .size = sizeof(needs),
						   .max_segment_size = 65536,
						   .page_backed = true };
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .name = "picky",
					    .parameters = &needs };

	picky = dma_buf_device_create(&info);
	shared_buffer = dma_buf_alloc("bench", SIZE, O_RDWR);
	bench_check(picky && shared_buffer, "making a shared buffer");
	for (int i = 0; i < OTHERS; i++)
		bench_check(dma_buf_attach(shared_buffer, picky) != NULL, "dma_buf_attach");
}

static void start(void)
{
	int i;

	bench_pin(0);
	buffer = dma_buf_alloc("bench", SIZE, O_RDWR);
	kept_buffer = export_kept();
	bench_check(buffer && kept_buffer, "making the buffers");
	buffer_fd = dma_buf_fd(buffer, O_CLOEXEC);
	bench_check_err(buffer_fd, "dma_buf_fd");
	attachment = dma_buf_attach(buffer, dma_buf_cpu_device());
	kept_attachment = dma_buf_attach(kept_buffer, dma_buf_cpu_device());
	bench_check(attachment && kept_attachment, "dma_buf_attach");
	share_buffer();
	pool = dma_buf_pool_create("bench", SIZE, 4);
	bench_check(pool != NULL, "dma_buf_pool_create");
	for (i = 0; i < MANY; i++) {
		many[i] = dma_buf_alloc("bench", SIZE, O_RDWR);
		bench_check(many[i] != NULL, "dma_buf_alloc");
		accesses[i] = (struct dma_buf_access){ many[i], 0, SIZE, DMA_TO_DEVICE };
	}
}

static void stop(void)
{
	int i;

	for (i = 0; i < MANY; i++)
		dma_buf_put(many[i]);
	dma_buf_pool_destroy(pool);
	dma_buf_detach(buffer, attachment);
	dma_buf_detach(kept_buffer, kept_attachment);
	close(buffer_fd);
	dma_buf_put(buffer);
	dma_buf_put(kept_buffer);
	dma_buf_put(shared_buffer);
	dma_buf_device_put(picky);
}

static void call_kernel(void)
{
	syscall(SYS_getppid);
}

static void bracket(void)
{
	bench_check_err(dma_buf_begin_cpu_access(buffer, 0, SIZE, DMA_TO_DEVICE), "begin");
	bench_check_err(dma_buf_end_cpu_access(buffer, 0, SIZE, DMA_TO_DEVICE), "end");
}

static void bracket_many(void)
{
	bench_check_err(dma_buf_begin_cpu_access_many(accesses, MANY), "begin");
	bench_check_err(dma_buf_end_cpu_access_many(accesses, MANY), "end");
}

static void recycle(void)
{
	struct dma_buf *dmabuf = dma_buf_pool_get(pool);

	bench_check(dmabuf != NULL, "dma_buf_pool_get");
	bench_check_err(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_TO_DEVICE), "begin");
	bench_check_err(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_TO_DEVICE), "end");
	dma_buf_pool_put(pool, dmabuf);
}

static void vmap_pair(void)
{
	void *memory = dma_buf_vmap(buffer);

	bench_check(memory != NULL, "dma_buf_vmap");
	dma_buf_vunmap(buffer, memory);
}

static void kmap_pair(void)
{
	void *page = dma_buf_kmap(buffer, 1);

	bench_check(page != NULL, "dma_buf_kmap (after a begin)");
	dma_buf_kunmap(buffer, 1, page);
}

static void get_known(void)
{
	struct dma_buf *dmabuf = dma_buf_get(buffer_fd);

	bench_check(dmabuf != NULL, "dma_buf_get");
	dma_buf_put(dmabuf);
}

static void duplicate(void)
{
	int fd = dma_buf_fd(buffer, O_CLOEXEC);

	bench_check_err(fd, "dma_buf_fd");
	close(fd);
}

static void attach_pair(void)
{
	struct dma_buf_attachment *a = dma_buf_attach(buffer, dma_buf_cpu_device());

	bench_check(a != NULL, "dma_buf_attach");
	dma_buf_detach(buffer, a);
}

static void attach_picky(struct dma_buf *to)
{
	struct dma_buf_attachment *a = dma_buf_attach(to, picky);

	bench_check(a != NULL, "dma_buf_attach");
	dma_buf_detach(to, a);
}

static void attach_alone(void)
{
	attach_picky(buffer);
}

static void attach_among_others(void)
{
	attach_picky(shared_buffer);
}

static void map_pair(struct dma_buf_attachment *a)
{
	struct dma_buf_sg_table *table = dma_buf_map_attachment(a, DMA_BIDIRECTIONAL);

	bench_check(table != NULL, "dma_buf_map_attachment");
	bench_check_err(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL), "unmap");
}

static void map_fresh(void)
{
	map_pair(attachment);
}

static void map_kept(void)
{
	map_pair(kept_attachment);
}

static void make(void)
{
	struct dma_buf *dmabuf = dma_buf_alloc("bench", SIZE, O_RDWR);

	bench_check(dmabuf != NULL, "dma_buf_alloc");
	dma_buf_put(dmabuf);
}

static void make_bare(void)
{
	int fd = memfd_make(SIZE);

	munmap(memfd_map(fd, SIZE), SIZE);
	close(fd);
}

struct call {
	void (*function)(void);
};

/* One entry point for all, so that all pay for the same indirect call. */
static void run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	const struct call *call = c->context;
	unsigned long i;

	bracket();
	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		call->function();
	bench_end(sample);
}

/* clang-format off */
#define CALL(id, text, baseline, times, target, f) \
	{ id, text, baseline, 0, times, 0, target, run, &(const struct call){ f } }

static const struct bench_case cases[] = {
	CALL("system-call", "a system call (getppid)", NULL, 20000, 0, call_kernel),
	CALL("bracket", "begin + end CPU access", "system-call", 20000, 0, bracket),
	CALL("recycle", "pool get + begin + end + pool put", "system-call", 20000, 300, recycle),
	CALL("bracket-many", "begin + end, 16 buffers in one call", "bracket", 2000, 0,
	     bracket_many),
	CALL("vmap", "vmap + vunmap", "system-call", 20000, 0, vmap_pair),
	CALL("kmap", "kmap + kunmap", "system-call", 20000, 0, kmap_pair),
	CALL("map-kept", "map + unmap, kept table", "system-call", 10000, 0, map_kept),
	CALL("map-fresh", "map + unmap, new table", "map-kept", 10000, 0, map_fresh),
	CALL("attach", "attach + detach", "system-call", 5000, 0, attach_pair),
	CALL("attach-needs", "attach + detach, with needs", "attach", 5000, 0, attach_alone),
	CALL("attach-others", "the same, 63 others with needs", "attach-needs", 1000, 0,
	     attach_among_others),
	CALL("get-known", "dma_buf_get + put, known here", "system-call", 1000, 0, get_known),
	CALL("fd", "dma_buf_fd + close", "system-call", 2000, 0, duplicate),
	CALL("memfd-make", "bare memfd: make, seal, map, drop", NULL, 200, 0, make_bare),
	CALL("make", "dma_buf_alloc + put", "memfd-make", 200, 0, make),
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "calls",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = 41,
		.start = start,
		.stop = stop,
	};

	return bench_main(argc, argv, &subject);
}
