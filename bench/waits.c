// SPDX-License-Identifier: MIT
/*
 * How long a wait may become: eight processes on two processors hold for some hundred microseconds
 * of work, now and then for a millisecond, and come back at once or after some work of their own.
 * What each scene waits for is in its comment. A wait is from asking to having all; the worst of
 * all processes stands beside twenty times the median hold for each one that could be before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/dma-resv.h>
#include <dmabuf/dmabuf-sync.h>
#include <fcntl.h>
#include <unistd.h>

#include "bench.h"
#include "team.h"
#include "wait-times.h"

#define PROCESSES 8
#define PROCESSORS 2
#define BUFFERS 4
#define GROUP 3
#define RUN_NS 500e6
#define ROUNDS 5
#define MAX_ROUNDS 1000
#define TIMES_HOLD 20

/* One process, in its own memory. */
static struct {
	unsigned int self;
	unsigned int seed;
	struct dma_buf *buffer[BUFFERS];
	struct dmabuf_sync *sync;
	struct dmabuf_sync *lower; /* of the scene "self" */
	bool apart;		   /* it has the two of them */
	struct dmabuf_ww_acquire_ctx ctx;
	uint64_t back_offs;
} me;

struct scene {
	const char *name;
	const char *label;
	void (*prepare)(void);
	void (*take)(void);
	void (*give)(void);
};

struct run {
	_Atomic(uint32_t) start;
	struct {
		struct wait_times waits;
		struct wait_times holds;
		uint64_t count;
		uint64_t back_offs;
	} process[PROCESSES];
};

enum { HOLDS, MEDIAN, WORST, P9999, RATIO, BACK_OFFS, FIGURES };
static const char *const figure_names[FIGURES] = { "holds",    "hold_ns", "worst_ns",
						   "p9999_ns", "ratio",	  "back_offs" };

static int fds[BUFFERS];
static struct run *run;
static const struct scene *current;

static double cpu_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Work, not time: who is not on a processor meanwhile has it still to do. */
static void work(double ns)
{
	double end = cpu_now_ns() + ns;

	while (cpu_now_ns() < end)
		;
}

static unsigned int chance(unsigned int n)
{
	return (unsigned int)rand_r(&me.seed) % n;
}

static struct dmabuf_sync *new_sync(void)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "bench");

	bench_check(sync != NULL, "dmabuf_sync_init");
	return sync;
}

static void add(struct dmabuf_sync *sync, unsigned int i, unsigned int type)
{
	bench_check_err(dmabuf_sync_get(sync, me.buffer[i % BUFFERS], type), "dmabuf_sync_get");
}

static void lock(void)
{
	bench_check_err(dmabuf_sync_lock(me.sync), "dmabuf_sync_lock");
}

static void unlock(void)
{
	bench_check_err(dmabuf_sync_unlock(me.sync), "dmabuf_sync_unlock");
}

/* Three of four buffers, which half of the processes name in the opposite order. */
static void prepare_groups(void)
{
	unsigned int i;

	for (i = 0; i < GROUP; i++)
		add(me.sync, me.self % 2 ? me.self + GROUP - i : me.self + i, DMA_BUF_ACCESS_W);
}

static void prepare_reader_among_writers(void)
{
	add(me.sync, 0, me.self ? DMA_BUF_ACCESS_W : DMA_BUF_ACCESS_R);
}

static void prepare_writer_among_readers(void)
{
	add(me.sync, 0, me.self ? DMA_BUF_ACCESS_R : DMA_BUF_ACCESS_W);
}

/* Inside of a lock of the memory, a context over the others' objects, in opposite orders. */
static void prepare_nested(void)
{
	add(me.sync, me.self / 2 % 2, DMA_BUF_ACCESS_W);
}

static struct dma_resv *object(unsigned int i)
{
	return me.buffer[me.self % 2 ? GROUP - i : i + 1]->resv;
}

static void unlock_objects(unsigned int count, unsigned int beside)
{
	unsigned int i;

	for (i = 0; i < GROUP; i++)
		if (i < count || i == beside)
			bench_check_err(dma_resv_unlock(object(i)), "dma_resv_unlock");
}

static void take_context(void)
{
	unsigned int i = 0, slow = GROUP;
	int err;

	dmabuf_ww_acquire_init(&me.ctx, dma_resv_ww_class());
	while (i < GROUP) {
		err = i == slow ? 0 : dma_resv_lock(object(i), &me.ctx);
		if (err == -EDEADLK) {
			me.back_offs++;
			unlock_objects(i, slow);
			slow = i;
			i = 0;
			bench_check_err(dma_resv_lock_slow(object(slow), &me.ctx),
					"dma_resv_lock_slow");
			continue;
		}
		bench_check_err(err, "dma_resv_lock");
		i++;
	}
}

static void take_nested(void)
{
	lock();
	take_context();
}

static void give_nested(void)
{
	unlock_objects(GROUP, GROUP);
	bench_check_err(dmabuf_ww_acquire_fini(&me.ctx), "dmabuf_ww_acquire_fini");
	unlock();
}

/* What would be a wait for itself: told so, it gives back and asks for both at once. */
static void prepare_self(void)
{
	add(me.sync, 0, DMA_BUF_ACCESS_W);
	add(me.sync, 1 + me.self % GROUP, DMA_BUF_ACCESS_W);
	me.lower = new_sync();
	add(me.lower, 0, DMA_BUF_ACCESS_W);
}

static void take_self(void)
{
	struct dma_buf *higher = me.buffer[1 + me.self % GROUP];
	int err;

	bench_check_err(dmabuf_sync_single_lock(higher, DMA_BUF_ACCESS_W, true), "lock");
	err = dmabuf_sync_lock(me.lower);
	me.apart = !err;
	if (!err)
		return;
	bench_check_err(err == -EDEADLK ? 0 : err, "dmabuf_sync_lock");
	me.back_offs++;
	bench_check_err(dmabuf_sync_single_unlock(higher), "unlock");
	lock();
}

static void give_self(void)
{
	if (!me.apart) {
		unlock();
		return;
	}
	bench_check_err(dmabuf_sync_unlock(me.lower), "dmabuf_sync_unlock");
	bench_check_err(dmabuf_sync_single_unlock(me.buffer[1 + me.self % GROUP]), "unlock");
}

static const struct scene scenes[] = {
	{ "groups", "groups of 3 of 4, in opposite orders", prepare_groups, lock, unlock },
	{ "nested", "contexts over 3, within a lock", prepare_nested, take_nested, give_nested },
	{ "self", "EDEADLK, give back, ask for both", prepare_self, take_self, give_self },
	{ "reader", "a reader among 7 writers", prepare_reader_among_writers, lock, unlock },
	{ "writer", "a writer among 7 readers", prepare_writer_among_readers, lock, unlock },
};

#define SCENES (sizeof(scenes) / sizeof(scenes[0]))
static double figures[SCENES][FIGURES][MAX_ROUNDS];

static int by_order(const void *a, const void *b)
{
	struct dma_buf_info x = { .struct_size = sizeof(x) }, y = { .struct_size = sizeof(y) };

	bench_check_err(dma_buf_get_info(*(const int *)a, &x), "dma_buf_get_info");
	bench_check_err(dma_buf_get_info(*(const int *)b, &y), "dma_buf_get_info");
	return x.inode < y.inode ? -1 : 1;
}

static void make_buffers(struct dma_buf *made[BUFFERS])
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		made[i] = dma_buf_alloc("bench", 4096, O_RDWR);
		bench_check(made[i] != NULL, "dma_buf_alloc");
		fds[i] = dma_buf_fd(made[i], O_CLOEXEC);
		bench_check_err(fds[i], "dma_buf_fd");
	}
	/* "Lower" and "higher" mean something then. */
	qsort(fds, BUFFERS, sizeof(fds[0]), by_order);
}

static void drop_buffers(struct dma_buf *made[BUFFERS])
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		close(fds[i]);
		dma_buf_put(made[i]);
	}
}

static void join(unsigned int self)
{
	unsigned int i;

	me.self = self;
	me.seed = self * 7919 + 1;
	for (i = 0; i < BUFFERS; i++) {
		me.buffer[i] = dma_buf_get(fds[i]);
		bench_check(me.buffer[i] != NULL, "dma_buf_get");
	}
	me.sync = new_sync();
	current->prepare();
}

static void leave(void)
{
	unsigned int i;

	dmabuf_sync_fini(me.sync);
	dmabuf_sync_fini(me.lower);
	for (i = 0; i < BUFFERS; i++)
		dma_buf_put(me.buffer[i]);
}

static void take_part(unsigned int self)
{
	double end, began, got;

	bench_confine(PROCESSORS);
	join(self);
	team_meet(&run->start, PROCESSES);
	end = bench_now_ns() + RUN_NS;
	while ((began = bench_now_ns()) < end) {
		current->take();
		got = bench_now_ns();
		wait_times_note(&run->process[self].waits, got - began);
		work(chance(16) ? 100e3 + chance(300000) : 1e6);
		wait_times_note(&run->process[self].holds, bench_now_ns() - got);
		current->give();
		run->process[self].count++;
		if (chance(2))
			work(chance(200000));
	}
	run->process[self].back_offs = me.back_offs;
	leave();
}

static void run_scene(const struct scene *s, double result[FIGURES])
{
	struct wait_times waits = { .worst_ns = 0 }, holds = { .worst_ns = 0 };
	struct dma_buf *made[BUFFERS];
	uint64_t count = 0, back_offs = 0;
	unsigned int i;

	current = s;
	run = team_memory(sizeof(*run));
	make_buffers(made);
	team_run(PROCESSES, take_part);
	for (i = 0; i < PROCESSES; i++) {
		wait_times_add(&waits, &run->process[i].waits);
		wait_times_add(&holds, &run->process[i].holds);
		count += run->process[i].count;
		back_offs += run->process[i].back_offs;
	}
	result[HOLDS] = (double)count;
	result[MEDIAN] = wait_times_below(&holds, count / 2);
	result[WORST] = waits.worst_ns;
	result[P9999] = wait_times_below(&waits, count / 10000);
	result[RATIO] = result[WORST] / (TIMES_HOLD * result[MEDIAN] * (PROCESSES - 1));
	result[BACK_OFFS] = (double)back_offs;
	drop_buffers(made);
	team_forget(run, sizeof(*run));
}

static struct json_object *report(size_t i, size_t rounds)
{
	struct json_object *o = json_object_new_object();
	int f;

	bench_check(o != NULL, "allocation");
	json_object_object_add(o, "name", json_object_new_string(scenes[i].name));
	json_object_object_add(o, "label", json_object_new_string(scenes[i].label));
	json_object_object_add(o, "waiters", json_object_new_int(PROCESSES - 1));
	for (f = 0; f < FIGURES; f++)
		json_object_object_add(o, figure_names[f], bench_statistics(figures[i][f], rounds));
	return o;
}

int main(int argc, char **argv)
{
	size_t rounds = bench_rounds(argc, argv, "waits", ROUNDS, MAX_ROUNDS), round, i;
	struct json_object *list = json_object_new_array();
	double result[FIGURES];
	int f;

	bench_check(list != NULL, "allocation");
	for (round = 0; round < rounds; round++)
		for (i = 0; i < SCENES; i++) {
			run_scene(&scenes[i], result);
			for (f = 0; f < FIGURES; f++)
				figures[i][f][round] = result[f];
		}
	for (i = 0; i < SCENES; i++)
		json_object_array_add(list, report(i, rounds));
	bench_print_cases("waits", rounds, list);
	return 0;
}
