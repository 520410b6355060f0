// SPDX-License-Identifier: MIT
/* Block devices that are one: a loop device, which needs root. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "loop-disk.h"

#define KIB 1024ul
#define MIB (1024ul * 1024)

struct disk {
	int fd; /* the block device, O_RDWR; the loop goes with the last descriptor */
	char queue[64];
};

static void disk_open(struct disk *d, int backing, size_t size, unsigned int sector)
{
	struct stat st;

	ASSERT_OK(ftruncate(backing, (off_t)size));
	d->fd = loop_open(backing, sector);
	if (d->fd < 0)
		SKIP("no loop device: %s", strerror(errno));
	ASSERT_OK(fstat(d->fd, &st));
	snprintf(d->queue, sizeof(d->queue), "/sys/dev/block/%u:%u/queue", major(st.st_rdev),
		 minor(st.st_rdev));
}

static uint64_t queue_number(const struct disk *d, const char *name)
{
	unsigned long long value = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", d->queue, name);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu", &value) != 1)
		value = 0;
	if (f)
		fclose(f);
	return value;
}

static void disk_works(struct disk *d, const struct way *way, size_t size)
{
	unsigned char *want = malloc(size), *got = malloc(size);
	struct rig r;

	ASSERT(want && got);
	if (rig_open(&r, d->fd, way, size)) {
		fill(want, size, 41);
		memcpy(r.cpu, want, size);
		ASSERT_EQ(get_info(r.dev).file_size, size);
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, size, 0), size);
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 5, 9999, 5), 9999);
		ASSERT_OK(dma_buf_block_sync(r.dev));
		ASSERT_EQ(pread(d->fd, got, size, 0), size);
		ASSERT(memcmp(got, want, size) == 0);
		memset(r.cpu, 0, size);
		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, size, 0), size);
		ASSERT(memcmp(r.cpu, want, size) == 0);
		/* At the end: a read is short, a write has no room. */
		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 8192, size - 4096), 4096);
		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4096, size), 0);
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 8192, size - 4096), -ENOSPC);
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 4096, size), -ENOSPC);
		rig_close(&r);
	}
	free(want);
	free(got);
}

static void disk_test(unsigned int sector)
{
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		int backing = scratch_file(O_RDWR);
		struct disk d;

		disk_open(&d, backing, 2 * MIB, sector);
		disk_works(&d, &ways[way], 2 * MIB);
		close(d.fd);
		close(backing);
	}
}

TEST(H1_block_disk_with_sectors_of_512_bytes)
{
	disk_test(512);
}

TEST(H1_block_disk_with_sectors_of_4096_bytes)
{
	disk_test(4096);
}

TEST(H1_block_disk_gives_its_queue_limits_to_tables_and_requests)
{
	static const unsigned int sectors[] = { 512, 4096 };
	unsigned int i, n;

	for (i = 0; i < 2; i++) {
		const struct dma_buf_device_parameters *p;
		uint64_t max_size, expected;
		int backing = scratch_file(O_RDWR);
		struct dma_buf_block_info info;
		struct disk d;
		struct rig r;

		disk_open(&d, backing, 32 * MIB, sectors[i]);
		ASSERT(rig_open(&r, d.fd, &(struct way){ "any", DMA_BUF_BLOCK_AUTO, false },
				32 * MIB));
		test_note("%s", describe(r.dev));
		ASSERT_STR_CONTAINS(describe(r.dev), "limits of loop");
		info = get_info(r.dev);
		p = dma_buf_device_get_parameters(r.dev);
		ASSERT(info.direct);
		ASSERT_EQ(info.offset_alignment, sectors[i]);
		ASSERT_EQ(queue_number(&d, "logical_block_size"), sectors[i]);
		ASSERT_EQ(info.max_segments, queue_number(&d, "max_segments"));
		max_size = queue_number(&d, "max_segment_size");
		ASSERT_EQ(p->max_segment_size, max_size / sectors[i] * sectors[i]);
		for (n = 0; n < r.table->nents; n++)
			ASSERT(r.table->sgl[n].dma_length <= max_size);
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 32 * MIB, 0), 32 * MIB);
		expected = (r.table->nents + info.max_segments - 1) / info.max_segments;
		ASSERT_EQ(get_info(r.dev).requests, expected);
		ASSERT_EQ(get_info(r.dev).bounced, 0);
		rig_close(&r);
		close(d.fd);
		close(backing);
	}
}

/* A file on a full file system, behind a loop device: what a disk that is broken says. */
TEST(H1_block_disk_errors_come_back_at_once_or_with_sync)
{
	char dir[] = "/tmp/dmabuf-block-XXXXXX", path[64];
	unsigned int way;

	if (!own_mounts())
		SKIP("no mounts of our own: %s", strerror(errno));
	for (way = 0; way < WAYS; way++) {
		int64_t result;
		struct disk d;
		struct rig r;
		int backing;

		memcpy(strstr(dir, "block-") + 6, "XXXXXX", 6);
		ASSERT(mkdtemp(dir));
		ASSERT_OK(mount("none", dir, "tmpfs", 0, "size=256k"));
		snprintf(path, sizeof(path), "%s/file", dir);
		backing = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ASSERT_OK(backing);
		umount2(dir, MNT_DETACH);
		rmdir(dir);
		disk_open(&d, backing, 4 * MIB, 4096);
		if (rig_open(&r, d.fd, &ways[way], 1 * MIB)) {
			fill(r.cpu, 1 * MIB, 43);
			result = rig_transfer(&r, DMA_TO_DEVICE, 0, 1 * MIB, 1 * MIB);
			/* Even O_DIRECT goes through the page cache if pages there are busy. */
			if (result != 1 * MIB) {
				ASSERT(get_info(r.dev).direct);
				ASSERT(result == -EIO || result == -ENOSPC);
			}
			/* The page cache takes these bytes; the disk does not, as sync says. */
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 100, 3 * MIB), 100);
			result = dma_buf_block_sync(r.dev);
			ASSERT(result == -EIO || result == -ENOSPC);
			rig_close(&r);
		}
		close(d.fd);
		close(backing);
	}
}
