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

TEST_TIMEOUT(F5_an_export_that_fails_leaves_nothing, 60)
{
	run_steps(&(struct scenario){ nothing, call_export, check_fresh });
}

TEST_TIMEOUT(F5_a_first_access_that_fails_can_be_tried_again, 60)
{
	chunky_register();
	run_steps(&(struct scenario){ exported, call_vmap, check_fresh });
	run_steps(&(struct scenario){ exported, call_mmap, check_fresh });
	strict = strict_device();
	run_steps(&(struct scenario){ exported, call_attach_and_map, check_fresh });
	dma_buf_device_put(strict);
}

TEST_TIMEOUT(F6_a_migration_that_fails_leaves_the_content, 60)
{
	chunky_register();
	run_steps(&(struct scenario){ written, call_migrate, check_content });
	run_steps(&(struct scenario){ written, call_mmap, check_content });
	strict = strict_device();
	run_steps(&(struct scenario){ written, call_attach_and_map, check_content });
	dma_buf_device_put(strict);
}
