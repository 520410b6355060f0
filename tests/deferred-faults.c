// SPDX-License-Identifier: MIT
/*
 * Every allocation and system call on the way of a deferred buffer fails in turn (rows F5, F6): the
 * call says so, or manages without; the content stays; nothing is left behind, and the next try
 * succeeds.
 */
#include "faults.h"

#include <stdio.h>

#include "deferred.h"

#define SIZE ((size_t)20000)
#define STEPS_MAX 400

struct amount {
	long allocations;
	int fds, mappings;
};

/* As in faults.c: looking itself costs a line. */
static struct amount look(void)
{
	static long skew;
	struct amount a = { .allocations = faults_allocations() - skew };

	a.fds = open_fds();
	a.mappings = buffer_mappings();
	skew = faults_allocations() - a.allocations;
	return a;
}

static void check_nothing_left(const struct amount *before, int step, const char *failed)
{
	struct amount now = look();

	if (now.allocations != before->allocations || now.fds != before->fds ||
	    now.mappings != before->mappings)
		FAIL("step %d (%s): left behind: %ld allocations, %d descriptors, %d mappings",
		     step, failed ? failed : "none", now.allocations - before->allocations,
		     now.fds - before->fds, now.mappings - before->mappings);
}

struct scenario {
	/* What the call under test needs, and the call: 0 or a negative errno. */
	void (*prepare)(struct dma_buf **d);
	int (*call)(struct dma_buf **d);
	/* Afterwards, whatever it said. */
	void (*check)(struct dma_buf *d);
};

static bool run_step(const struct scenario *sc, int step)
{
	struct amount before = look();
	struct dma_buf *d = NULL;
	const char *failed;
	int err;

	sc->prepare(&d);
	faults_arm(step);
	err = sc->call(&d);
	failed = faults_disarm();
	if (err && !failed)
		FAIL("fails without a fault: %s", dmabuf_last_error());
	if (err && !dmabuf_last_error()[0])
		FAIL("step %d (%s): no words for errno %d", step, failed, -err);
	if (d)
		sc->check(d);
	dma_buf_put(d);
	check_nothing_left(&before, step, failed);
	return failed != NULL;
}

static void run_steps(const struct scenario *sc)
{
	int step = 1;
	/* The library's thread, and all that is made once, stay as long as this. */
	struct dma_buf *other = deferred_export(SIZE);

	write_pattern(other, 1);
	run_step(sc, STEPS_MAX);
	while (run_step(sc, step))
		ASSERT(step++ < STEPS_MAX);
	test_note("%d steps", step - 1);
	dma_buf_put(other);
}

static void nothing(struct dma_buf **d)
{
}

static void exported(struct dma_buf **d)
{
	*d = deferred_export(SIZE);
}

static void written(struct dma_buf **d)
{
	*d = deferred_export(SIZE);
	write_pattern(*d, 5);
}

static int call_export(struct dma_buf **d)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &deferred_ops;
	info.size = SIZE;
	info.flags = O_RDWR;
	info.priv = &info;
	info.storage = DMA_BUF_STORAGE_DEFERRED;
	*d = dma_buf_export(&info);
	return *d ? 0 : -errno;
}

static int call_vmap(struct dma_buf **d)
{
	void *p = dma_buf_vmap(*d);

	if (!p)
		return -errno;
	dma_buf_vunmap(*d, p);
	return 0;
}

static int call_mmap(struct dma_buf **d)
{
	void *p = dma_buf_mmap(*d, 4096, 4096, PROT_READ);

	return p ? dma_buf_munmap(p, 4096) : -errno;
}

static int call_migrate(struct dma_buf **d)
{
	return dma_buf_migrate(*d, "chunky", 0);
}

static struct dma_buf_device *strict;

static int call_attach_and_map(struct dma_buf **d)
{
	struct dma_buf_attachment *a = dma_buf_attach(*d, strict);
	struct dma_buf_sg_table *table;
	int err;

	if (!a)
		return -errno;
	table = dma_buf_map_attachment(a, DMA_BIDIRECTIONAL);
	err = table ? 0 : -errno;
	if (table)
		ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
	dma_buf_detach(*d, a);
	return err;
}

static void check_fresh(struct dma_buf *d)
{
	write_pattern(d, 9);
	check_pattern(d, 9);
}

static void check_content(struct dma_buf *d)
{
	check_pattern(d, 5);
	ASSERT_OK(dma_buf_migrate(d, "chunky2", 1000));
	check_pattern(d, 5);
}

static void write_zeros(struct dma_buf *d)
{
	char *bytes;

	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, SIZE, DMA_TO_DEVICE));
	bytes = dma_buf_vmap(d);
	ASSERT(bytes);
	memset(bytes, 0, SIZE);
	dma_buf_vunmap(d, bytes);
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, SIZE, DMA_TO_DEVICE));
}

static void check_zeros(struct dma_buf *d)
{
	const char *bytes;

	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, SIZE, DMA_FROM_DEVICE));
	bytes = dma_buf_vmap(d);
	ASSERT(bytes);
	for (size_t i = 0; i < SIZE; i++)
		ASSERT_EQ(bytes[i], 0);
	dma_buf_vunmap(d, (void *)bytes);
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, SIZE, DMA_FROM_DEVICE));
}

/* The storage that was left half made, if it was, has the old bytes and not these. */
static void check_zeros_move(struct dma_buf *d)
{
	write_zeros(d);
	ASSERT_OK(dma_buf_migrate(d, "memfd", 5000));
	ASSERT_OK(dma_buf_migrate(d, "chunky", 5000));
	check_zeros(d);
}

TEST(F5_an_export_that_fails_leaves_nothing)
{
	run_steps(&(struct scenario){ nothing, call_export, check_fresh });
}

TEST(F5_a_first_access_that_fails_can_be_tried_again)
{
	chunky_register();
	run_steps(&(struct scenario){ exported, call_vmap, check_fresh });
	run_steps(&(struct scenario){ exported, call_mmap, check_fresh });
	strict = strict_device();
	run_steps(&(struct scenario){ exported, call_attach_and_map, check_fresh });
	dma_buf_device_put(strict);
}

TEST(F6_a_migration_that_fails_leaves_the_content)
{
	chunky_register();
	run_steps(&(struct scenario){ written, call_migrate, check_content });
	run_steps(&(struct scenario){ written, call_migrate, check_zeros_move });
	run_steps(&(struct scenario){ written, call_mmap, check_content });
	strict = strict_device();
	run_steps(&(struct scenario){ written, call_attach_and_map, check_content });
	dma_buf_device_put(strict);
}

/* Deaths at each step of another process that migrates. */
static int dies_at(struct peer *peer, struct dma_buf *d)
{
	int err;

	check_pattern(d, 5);
	faults_arm_death((int)(intptr_t)peer->arg);
	err = dma_buf_migrate(d, "chunky", 5000);
	(void)faults_disarm();
	ASSERT_OK(err);
	dma_buf_put(d);
	return 0;
}

/* True: it died there. */
static bool death_at(int step)
{
	struct dma_buf *d = deferred_export(SIZE);
	struct peer peer;
	int status;

	write_pattern(d, 5);
	peer_start(&peer, d, dies_at, (void *)(intptr_t)step);
	status = reap(peer.pid);
	close(peer.socket);
	ASSERT(status == 0 || status == 128 + SIGKILL);
	check_pattern(d, 5);
	check_zeros_move(d);
	dma_buf_put(d);
	return status != 0;
}

TEST_TIMEOUT(F6_whoever_dies_at_any_step_leaves_it_to_others, 300)
{
	int step = 1;

	chunky_register();
	while (death_at(step))
		ASSERT(step++ < STEPS_MAX);
	test_note("%d steps", step - 1);
}

/* A process in its first access, which is to choose. */
static int chooses_and_dies(struct peer *peer, struct dma_buf *d)
{
	faults_arm_death((int)(intptr_t)peer->arg);
	if (dma_buf_vmap(d))
		(void)faults_disarm();
	_exit(0);
}

TEST_TIMEOUT(F5_whoever_dies_at_any_step_of_choosing_leaves_it_to_others, 300)
{
	struct dma_buf *d;
	struct peer peer;
	int step, status;

	chunky_register();
	for (step = 1; step < STEPS_MAX; step++) {
		d = deferred_export(SIZE);
		peer_start(&peer, d, chooses_and_dies, (void *)(intptr_t)step);
		status = reap(peer.pid);
		close(peer.socket);
		check_fresh(d);
		dma_buf_put(d);
		if (!status)
			break;
		ASSERT_EQ(status, 128 + SIGKILL);
	}
	test_note("%d steps", step - 1);
	ASSERT(step > 5);
}
