// SPDX-License-Identifier: MIT
/* Row C4: calls that break a rule, and touches of what a device or somebody's lock has. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fuse-file.h"
#include "peer.h"

#define SIZE 16384

TEST(C4_an_end_without_its_begin_is_told)
{
	struct dma_buf *dmabuf;
	const char *text;

	check_start(0);
	dmabuf = check_buffer(SIZE);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 4, 8, DMA_TO_DEVICE), EINVAL);
	text = only_report(DMA_BUF_CHECK_UNBALANCED);
	ASSERT_STR_CONTAINS(text, "ended CPU access to [4, +8) to write (DMA_TO_DEVICE)");
	ASSERT_STR_CONTAINS(text, "never begun");
	ASSERT_STR_CONTAINS(text, ", at test-check-calls+0x");
	ASSERT(!kept.report.touched && !kept.report.address);
	ASSERT_EQ(kept.report.offset, 4);
	ASSERT_EQ(kept.report.length, 8);
	dma_buf_put(dmabuf);
}

TEST(C4_an_end_in_another_direction_is_told)
{
	struct dma_buf *dmabuf;
	const char *text;

	check_start(0);
	dmabuf = check_buffer(SIZE);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 8, DMA_BIDIRECTIONAL), EINVAL);
	text = only_report(DMA_BUF_CHECK_DIRECTION);
	ASSERT_STR_CONTAINS(text, "to read and write (DMA_BIDIRECTIONAL), but what is open is CPU "
				  "access to [0, +8) to read (DMA_FROM_DEVICE), begun by thread ");
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	no_report();
	dma_buf_put(dmabuf);
}

TEST(C4_an_access_that_is_left_open_is_told_with_the_last_put)
{
	struct dma_buf *dmabuf;
	const char *text;

	check_start(0);
	dmabuf = check_buffer(SIZE);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 1, 2, DMA_TO_DEVICE));
	get_dma_buf(dmabuf);
	dma_buf_put(dmabuf);
	no_report();
	dma_buf_put(dmabuf);
	text = only_report(DMA_BUF_CHECK_UNBALANCED);
	ASSERT_STR_CONTAINS(text, "lets go of the buffer with CPU access to [1, +2) to write");
	/* Where it was begun. */
	ASSERT_STR_CONTAINS(text, ", at test-check-calls+0x");
}

/* Devices */

static struct dma_buf_attachment *attach(struct dma_buf *dmabuf, const char *name)
{
	struct dma_buf_device_parameters parameters = { .size = sizeof(parameters) };
	struct dma_buf_device *dev = device_make(name, &parameters);
	struct dma_buf_attachment *a = dma_buf_attach(dmabuf, dev);

	if (!a)
		FAIL("%s", dmabuf_last_error());
	dma_buf_device_put(dev);
	return a;
}

TEST(C4_a_touch_of_what_a_device_has_names_the_device)
{
	struct dma_buf_sg_table *table;
	struct dma_buf_attachment *a;
	volatile unsigned char *bytes;
	struct dma_buf *dmabuf;
	const char *text;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(SIZE);
	bytes = check_vmap(dmabuf);
	a = attach(dmabuf, "camera");
	table = dma_buf_map_attachment(a, DMA_FROM_DEVICE);
	ASSERT(table);
	ASSERT_EQ(bytes[100], 0);
	text = only_report(DMA_BUF_CHECK_OWNER);
	ASSERT_STR_CONTAINS(text, "read at offset 100 (");
	ASSERT_STR_CONTAINS(text, "mapped for device camera (");
	ASSERT_STR_CONTAINS(text, "which writes it (DMA_FROM_DEVICE)");
	/* The mapping can stay while the CPU looks, if it says so. */
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_EQ(bytes[100], 0);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	no_report();
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_FROM_DEVICE));
	dma_buf_detach(dmabuf, a);
	dma_buf_put(dmabuf);
}

TEST(C4_a_sync_hands_the_bytes_to_the_cpu_and_back)
{
	static const unsigned int attrs[] = { DMA_BUF_MAP_COHERENT, DMA_BUF_MAP_NONCOHERENT };
	struct dma_buf_sg_table *table;
	struct dma_buf_attachment *a;
	volatile unsigned char *bytes;
	struct dma_buf *dmabuf;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(SIZE);
	bytes = check_vmap(dmabuf);
	for (int i = 0; i < 2; i++) {
		a = attach(dmabuf, "codec");
		table = dma_buf_map_attachment_attrs(a, DMA_BIDIRECTIONAL, attrs[i]);
		if (!table && errno == EOPNOTSUPP)
			SKIP("this CPU has no cache instructions");
		ASSERT(table);
		ASSERT_OK(dma_buf_sync_sg_for_cpu(a, table, DMA_BIDIRECTIONAL));
		bytes[0] = 1;
		no_report();
		ASSERT_OK(dma_buf_sync_sg_for_device(a, table, DMA_BIDIRECTIONAL));
		bytes[0] = 2;
		ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OWNER), "device codec");
		/* Unmapped while the CPU has it: it has it no longer. */
		ASSERT_OK(dma_buf_sync_sg_for_cpu(a, table, DMA_BIDIRECTIONAL));
		ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
		bytes[0] = 3;
		only_report(DMA_BUF_CHECK_OUTSIDE);
		dma_buf_detach(dmabuf, a);
	}
	dma_buf_put(dmabuf);
}

TEST(C4_tables_that_do_not_fit_their_map_are_told)
{
	struct dma_buf_sg_table *table;
	struct dma_buf_attachment *a;
	struct dma_buf *dmabuf;

	check_start(0);
	dmabuf = check_buffer(SIZE);
	a = attach(dmabuf, "codec");
	table = dma_buf_map_attachment(a, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_ERR(dma_buf_unmap_attachment(a, table, DMA_FROM_DEVICE), EINVAL);
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_DIRECTION),
			    "unmapped device codec, which writes it (DMA_FROM_DEVICE), of a table "
			    "with which it reads it (DMA_TO_DEVICE)");
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(a, table, DMA_BIDIRECTIONAL), EINVAL);
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_DIRECTION), "took back from device codec");
	ASSERT_ERR(dma_buf_sync_sg_for_device(a, table, DMA_TO_DEVICE), EALREADY);
	only_report(DMA_BUF_CHECK_UNBALANCED);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_TO_DEVICE));
	no_report();
	ASSERT_ERR(dma_buf_unmap_attachment(a, table, DMA_TO_DEVICE), EINVAL);
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_UNBALANCED), "that it does not have");
	dma_buf_detach(dmabuf, a);
	dma_buf_put(dmabuf);
}

TEST(C4_a_detach_of_what_is_mapped_is_told)
{
	struct dma_buf_attachment *a;
	struct dma_buf *dmabuf;

	check_start(0);
	dmabuf = check_buffer(SIZE);
	a = attach(dmabuf, "codec");
	ASSERT(dma_buf_map_attachment(a, DMA_TO_DEVICE));
	dma_buf_detach(dmabuf, a);
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_UNBALANCED), "detached device codec");
	a = attach(dmabuf, "codec");
	ASSERT(dma_buf_map_attachment(a, DMA_TO_DEVICE));
	dma_buf_put(dmabuf);
	only_report(DMA_BUF_CHECK_UNBALANCED);
}

TEST(C4_a_device_that_gets_what_the_cpu_is_at_is_told)
{
	struct dma_buf_sg_table *table;
	struct dma_buf_attachment *a;
	struct dma_buf *dmabuf;

	check_start(0);
	dmabuf = check_buffer(SIZE);
	a = attach(dmabuf, "codec");
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	/* Two that read are in nobody's way. */
	table = dma_buf_map_attachment(a, DMA_TO_DEVICE);
	ASSERT(table);
	no_report();
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_TO_DEVICE));
	dma_buf_detach(dmabuf, a);
	a = attach(dmabuf, "codec");
	table = dma_buf_map_attachment(a, DMA_FROM_DEVICE);
	ASSERT(table);
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OWNER),
			    "gave it to device codec, which writes it (DMA_FROM_DEVICE), while the "
			    "CPU is at it: CPU access to [0, +8)");
	ASSERT_OK(dma_buf_sync_sg_for_cpu(a, table, DMA_FROM_DEVICE));
	no_report();
	ASSERT_OK(dma_buf_sync_sg_for_device(a, table, DMA_FROM_DEVICE));
	only_report(DMA_BUF_CHECK_OWNER);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_FROM_DEVICE));
	dma_buf_detach(dmabuf, a);
	no_report();
	dma_buf_put(dmabuf);
}

TEST(C4_transfers_and_accesses_of_the_cpu_do_not_mix)
{
	struct fuse_file *f = fuse_file_open();
	struct dma_buf_block_completion done;
	const struct way way = { "threads", DMA_BUF_BLOCK_THREADS, true };
	const char *text;
	struct rig r;

	check_start(DMA_BUF_CHECK_CONTINUE);
	ASSERT(rig_open(&r, f->fd, &way, SIZE));
	f->hold = true;
	ASSERT_OK(dma_buf_block_submit(r.attach, r.table, DMA_FROM_DEVICE, 4096, 4096, 0, 1));
	no_report();
	ASSERT_EQ(((volatile unsigned char *)r.cpu)[4097], 0);
	text = only_report(DMA_BUF_CHECK_OWNER);
	ASSERT_STR_CONTAINS(text, "while device disk writes [4096, +4096)");
	ASSERT_OK(dma_buf_begin_cpu_access(r.dmabuf, 8000, 1000, DMA_FROM_DEVICE));
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OWNER),
			    "began CPU access to [8000, +1000) to read (DMA_FROM_DEVICE), while "
			    "device disk writes [4096, +4096)");
	/* Beside it: nobody's business. */
	ASSERT_OK(dma_buf_begin_cpu_access(r.dmabuf, 12288, 10, DMA_TO_DEVICE));
	no_report();
	f->hold = false;
	fuse_file_release(f);
	ASSERT_EQ(dma_buf_block_reap(r.dev, &done, 1, WAIT_MS), 1);
	ASSERT_OK(dma_buf_block_submit(r.attach, r.table, DMA_TO_DEVICE, 12288, 4096, 0, 1));
	ASSERT_STR_CONTAINS(
		only_report(DMA_BUF_CHECK_OWNER),
		"started a transfer: device disk reads [12288, +4096), while the CPU is "
		"at it: CPU access to [12288, +10) to write");
	ASSERT_EQ(dma_buf_block_reap(r.dev, &done, 1, WAIT_MS), 1);
	ASSERT_OK(dma_buf_end_cpu_access(r.dmabuf, 12288, 10, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(r.dmabuf, 8000, 1000, DMA_FROM_DEVICE));
	no_report();
	rig_close(&r);
	fuse_file_close(f);
}

/* Others' locks */

static int locker(struct peer *peer, struct dma_buf *dmabuf)
{
	dmabuf_set_label("compositor");
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, true));
	peer_tell(peer);
	peer_wait(peer);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	dma_buf_put(dmabuf);
	no_report();
	return 0;
}

static int waiter(struct peer *peer, struct dma_buf *dmabuf)
{
	peer_wait(peer);
	ASSERT_EQ(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true), -EOWNERDEAD);
	peer_tell(peer);
	peer_wait(peer);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	dma_buf_put(dmabuf);
	return 0;
}

static void write_late(volatile unsigned char *bytes)
{
	int64_t end = now_ms() + 20000;

	/* The loss is seen a moment after it happened. */
	while (!kept.count && now_ms() < end)
		bytes[5] = 1;
}

TEST(C4_a_write_after_the_lease_was_lost_is_told)
{
	struct dma_buf *dmabuf;
	struct dmabuf_sync *sync;
	volatile unsigned char *bytes;
	struct peer peer;
	const char *text;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(SIZE);
	bytes = check_vmap(dmabuf);
	sync = dmabuf_sync_init(NULL, "late");
	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_set_lease(sync, 50));
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	/* Before there are threads here: the library's looks after what is locked. */
	peer_start(&peer, dmabuf, waiter, NULL);
	ASSERT_OK(dmabuf_sync_lock(sync));
	bytes[5] = 1;
	no_report();
	peer_tell(&peer);
	peer_wait(&peer);
	write_late(bytes);
	text = only_report(DMA_BUF_CHECK_OWNER);
	ASSERT_STR_CONTAINS(text, "wrote at offset 5 (");
	ASSERT_STR_CONTAINS(text, "after the lock that was for it had been lost to its lease");
	ASSERT_STR_CONTAINS(text, "has locked it for what reads by CPU");
	ASSERT_ERR(dmabuf_sync_unlock(sync), ETIMEDOUT);
	peer_tell(&peer);
	peer_end(&peer);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(C4_an_access_to_what_somebody_has_locked_is_told)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;
	struct peer peer;
	char who[64];

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(SIZE);
	bytes = check_vmap(dmabuf);
	peer_start(&peer, dmabuf, locker, NULL);
	peer_wait(&peer);
	snprintf(who, sizeof(who), "(%d) has locked it", (int)peer.pid);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OWNER), who);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	ASSERT_EQ(bytes[0], 0);
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OWNER), who);
	peer_tell(&peer);
	peer_end(&peer);
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true));
	/* A bracket inside of one's own lock is in nobody's way. */
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	ASSERT_EQ(bytes[0], 0);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 8, DMA_FROM_DEVICE));
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	no_report();
	dma_buf_put(dmabuf);
}
