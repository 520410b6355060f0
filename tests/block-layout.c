// SPDX-License-Identifier: MIT
/*
 * What a disk is asked for in the end: the requests that reach it, seen by the kernel's trace.
 * Needs root, loop devices, and for the layout tracefs: rows F7 and H1.
 */
#include <sys/sysmacros.h>

#include "loop-disk.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define TRACING "/sys/kernel/tracing/instances"

struct disk {
	int fd;
	dev_t dev;
	char sysfs[64];
};

static void disk_open(struct disk *d, int backing, uint64_t size, unsigned int sector)
{
	struct stat st;

	ASSERT_OK(ftruncate(backing, (off_t)size));
	d->fd = loop_open(backing, sector);
	if (d->fd < 0)
		SKIP("no loop device: %s", strerror(errno));
	ASSERT_OK(fstat(d->fd, &st));
	d->dev = st.st_rdev;
	snprintf(d->sysfs, sizeof(d->sysfs), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
}

static uint64_t queue_number(const struct disk *d, const char *name)
{
	unsigned long long value = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/queue/%s", d->sysfs, name);
	f = fopen(path, "re");
	ASSERT(f);
	ASSERT_EQ(fscanf(f, "%llu", &value), 1);
	fclose(f);
	return value;
}

/* The disk takes no larger requests from now on; one that is used again would remember. */
static void set_max_request(const struct disk *d, uint64_t kib)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "%s/queue/max_sectors_kb", d->sysfs);
	snprintf(text, sizeof(text), "%ju", (uintmax_t)kib);
	write_text(path, text);
}

/* A trace of our own, of this disk only. */
struct trace {
	char dir[96];
	bool there;
};

static void trace_write(const struct trace *t, const char *name, const char *text)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	write_text(path, text);
}

static void trace_begin(struct trace *t, const struct disk *d)
{
	char filter[64];

	snprintf(t->dir, sizeof(t->dir), TRACING "/dmabuf-test-%d", (int)getpid());
	t->there = mkdir(t->dir, 0700) == 0;
	if (!t->there) {
		test_note("no trace of requests: %s", strerror(errno));
		return;
	}
	/* As the kernel numbers devices inside. */
	snprintf(filter, sizeof(filter), "dev == %u", major(d->dev) << 20 | minor(d->dev));
	trace_write(t, "events/block/block_rq_issue/filter", filter);
	trace_write(t, "events/block/block_rq_issue/enable", "1");
}

static void trace_end(struct trace *t)
{
	if (t->there)
		ASSERT_OK(rmdir(t->dir));
}

struct requests {
	unsigned int count;
	uint64_t most, bytes, end; /* the largest, all together, where the last one ends */
	bool in_order;		   /* each begins where the one before it ended */
};

/* "  name-pid [000] ..... 1.0: block_rq_issue: 7,0 W 32768 () 64 + 64 none,0,0 [name]" */
static bool parse_request(const char *line, char *way, uint64_t *start, uint64_t *length)
{
	const char *at = strstr(line, "block_rq_issue: ");
	unsigned long long sector;
	unsigned int sectors;
	char rwbs[16];

	if (!at || sscanf(at, "block_rq_issue: %*u,%*u %15s %*u () %llu + %u", rwbs, &sector,
			  &sectors) != 3)
		return false;
	*way = rwbs[0];
	*start = sector * 512;
	*length = sectors * UINT64_C(512);
	return true;
}

static struct requests trace_read(const struct trace *t, char way)
{
	struct requests r = { .in_order = true };
	char path[128], line[512], one;
	uint64_t start, length;
	FILE *f;

	snprintf(path, sizeof(path), "%s/trace", t->dir);
	f = fopen(path, "re");
	ASSERT(f);
	while (fgets(line, sizeof(line), f)) {
		if (!parse_request(line, &one, &start, &length) || one != way)
			continue;
		if (r.count && start != r.end)
			r.in_order = false;
		r.count++;
		r.bytes += length;
		r.end = start + length;
		if (length > r.most)
			r.most = length;
	}
	fclose(f);
	return r;
}

struct counts {
	const struct disk *disk;
	unsigned long long reads, writes, written, want;
};

static void stat_read(struct counts *c)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/stat", c->disk->sysfs);
	f = fopen(path, "re");
	ASSERT(f);
	ASSERT_EQ(fscanf(f, "%llu %*u %*u %*u %llu %*u %llu", &c->reads, &c->writes, &c->written),
		  3);
	fclose(f);
}

/* Requests are counted just after they have ended. */
static bool writes_are_counted(void *arg)
{
	struct counts *c = arg;

	stat_read(c);
	return c->writes >= c->want;
}

static void check_layout(unsigned int sector, uint64_t request_kib, const struct way *way)
{
	int backing = scratch_file(O_RDWR);
	struct requests written, read;
	struct counts before, after;
	struct trace trace;
	struct disk d;
	struct rig r;

	disk_open(&d, backing, 4 * MIB, sector);
	set_max_request(&d, request_kib);
	before.disk = after.disk = &d;
	if (!rig_open(&r, d.fd, way, 4 * MIB)) {
		close(d.fd);
		close(backing);
		return;
	}
	/* Entries are what the queue takes, before anything is asked of it. */
	for (unsigned int n = 0; n < r.table->nents; n++)
		ASSERT(r.table->sgl[n].dma_length <= queue_number(&d, "max_segment_size"));
	stat_read(&before);
	trace_begin(&trace, &d);
	after.want = before.writes + MIB / (request_kib * KIB);
	ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, MIB, MIB, 2 * MIB), MIB);
	ASSERT(eventually(writes_are_counted, &after, 20000));
	ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 2 * MIB, 0), 2 * MIB);
	ASSERT_EQ(after.writes, after.want);
	ASSERT_EQ(after.written - before.written, MIB / 512);
	if (trace.there) {
		written = trace_read(&trace, 'W');
		read = trace_read(&trace, 'R');
		test_note("%s, %u, at most %ju KiB: %u written, %u read", way->name, sector,
			  (uintmax_t)request_kib, written.count, read.count);
		ASSERT_EQ(written.count, MIB / (request_kib * KIB));
		ASSERT_EQ(written.most, request_kib * KIB);
		ASSERT_EQ(written.bytes, MIB);
		ASSERT_EQ(written.end, 3 * MIB);
		ASSERT(written.in_order);
		ASSERT_EQ(read.most, request_kib * KIB);
		/* Others may look at a new disk, too. */
		ASSERT(read.bytes >= 2 * MIB);
	}
	trace_end(&trace);
	ASSERT_EQ(get_info(r.dev).bounced, 0);
	rig_close(&r);
	set_max_request(&d, queue_number(&d, "max_hw_sectors_kb"));
	close(d.fd);
	close(backing);
}

TEST_TIMEOUT(F7_H1_requests_reach_a_disk_as_its_queue_wants_them, 300)
{
	for (unsigned int i = 0; i < WAYS; i++) {
		if (ways[i].buffered)
			continue;
		check_layout(512, 32, &ways[i]);
		check_layout(512, 256, &ways[i]);
		check_layout(4096, 32, &ways[i]);
	}
}
