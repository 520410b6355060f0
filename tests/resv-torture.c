// SPDX-License-Identifier: MIT
/*
 * Processes that lock random groups of buffers in every way there is, read and write them, and are
 * killed, stopped and interrupted at random meanwhile. A writer fills a buffer with one word, so a
 * reader who has it alone or among readers finds it full of one word, twice the same: anything else
 * is a violation, unless it was told that the content is torn.
 *
 * One exception is documented: nobody can keep a *living* writer that lost its lease from writing
 * on. So a process that is stopped while it writes is killed, not continued; and should a writer
 * have been without a CPU for its whole lease, what others found meanwhile is excused, and counted.
 *
 * DMABUF_TORTURE_SECONDS: how long (25; less under tools that make it slow).
 * DMABUF_TORTURE_SEED: what chance begins with.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>

#include "sync.h"

#define WORKERS 8
#define BUFFERS 16
#define GROUP 4
#define SIZE (16u * 1024)
#define LEASE_MS 700
#define READ_LEASE_MS 20
/* A lock that takes as long as this is one that never comes. */
#define PATIENCE_MS 20000
#define EVENTS 4096

enum state { OUTSIDE, LOCKING, READING, WRITING };
enum phase { QUIET, STORM, PHASES };

struct event {
	unsigned int buffer;
	uint64_t from, to; /* ns */
	char what[96];
};

struct events {
	atomic_uint count;
	struct event event[EVENTS];
};

#define OPERATIONS 16

/* One for each worker, kept by its successors. */
struct seat {
	atomic_int state;
	atomic_uint operation;
	_Atomic(uint64_t) since; /* when it began to lock; 0: it does not */
	_Atomic(uint64_t) done[OPERATIONS];
	_Atomic(uint64_t) busy, timeouts, interrupted, told, lost, repaired;
	_Atomic(uint64_t) worst[PHASES]; /* ns */
	_Atomic(uint64_t) holds[64];	 /* how many took about 2^i ns, in the quiet phase */
};

static struct torture {
	atomic_bool end;
	atomic_int phase;
	int fds[BUFFERS];
	struct seat seat[WORKERS];
	struct events found; /* content that should not have been */
	struct events late;  /* living writers that had lost the buffer */
	struct events wrong; /* answers */
} * all;

struct set {
	unsigned int count;
	unsigned int buffer[GROUP];
	unsigned int type[GROUP];
	bool torn[GROUP];
	bool writes;
};

struct worker {
	struct seat *seat;
	unsigned int number, random;
	uint64_t sequence;
	struct dma_buf *dmabuf[BUFFERS];
	uint64_t *at[BUFFERS];
	struct dmabuf_sync *sync;
	int pattern; /* a file full of one word */
	uint64_t pattern_word;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned int below(unsigned int *state, unsigned int limit)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % limit;
}

static void note_event(struct events *events, unsigned int buffer, uint64_t from,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));
static void note_event(struct events *events, unsigned int buffer, uint64_t from,
		       const char *format, ...)
{
	unsigned int i = atomic_fetch_add(&events->count, 1);
	va_list args;

	if (i >= EVENTS)
		return;
	events->event[i].buffer = buffer;
	events->event[i].from = from;
	events->event[i].to = now_ns();
	va_start(args, format);
	vsnprintf(events->event[i].what, sizeof(events->event[i].what), format, args);
	va_end(args);
}

/*
 * The ways to lock. Whatever takes and gives back a set can be added; take: 0 or -EOWNERDEAD as
 * dmabuf_sync_lock(); held: is it ours still.
 */
struct operation {
	const char *name;
	unsigned int weight;
	bool single; /* one buffer, by the CPU */
	bool waits;  /* as long as it takes */
	int (*take)(struct worker *w, const struct set *set);
	int (*give)(struct worker *w, const struct set *set);
	bool (*held)(struct worker *w, const struct set *set);
};

static int get_all(struct worker *w, const struct set *set)
{
	unsigned int i;
	int err;

	ASSERT_OK(dmabuf_sync_set_lease(w->sync, set->writes ? LEASE_MS : READ_LEASE_MS));
	for (i = 0; i < set->count; i++) {
		err = dmabuf_sync_get(w->sync, w->dmabuf[set->buffer[i]], set->type[i]);
		if (err)
			return err;
	}
	return 0;
}

static int take_waiting(struct worker *w, const struct set *set)
{
	int err = get_all(w, set);

	return err ? err : dmabuf_sync_lock_timeout(w->sync, PATIENCE_MS);
}

static int take_with_a_deadline(struct worker *w, const struct set *set)
{
	int err = get_all(w, set);

	return err ? err : dmabuf_sync_lock_timeout(w->sync, 1 + below(&w->random, 30));
}

static int take_interruptibly(struct worker *w, const struct set *set)
{
	int err = get_all(w, set);

	return err ? err : dmabuf_sync_lock_interruptible(w->sync, PATIENCE_MS);
}

static int take_now(struct worker *w, const struct set *set)
{
	int err = get_all(w, set);

	return err ? err : dmabuf_sync_trylock(w->sync);
}

static int give_sync(struct worker *w, const struct set *set)
{
	/* Sometimes with the object. */
	int ret = below(&w->random, 8) ? dmabuf_sync_unlock(w->sync) : 0;

	dmabuf_sync_put_all(w->sync);
	return ret;
}

static bool held_sync(struct worker *w, const struct set *set)
{
	return dmabuf_sync_is_locked(w->sync);
}

/* Until the descriptor says that the attempt has ended; the claim passes on from who is stopped. */
static int take_by_descriptor(struct worker *w, const struct set *set)
{
	struct pollfd ready = { .events = POLLIN };
	int err = get_all(w, set), left;

	if (err)
		return err;
	ready.fd = dmabuf_sync_fd(w->sync);
	ASSERT_OK(ready.fd);
	err = dmabuf_sync_lock_async(w->sync, PATIENCE_MS, NULL);
	if (err)
		return err;
	/* Handlers run here too. */
	for (left = 1000; left && poll(&ready, 1, PATIENCE_MS + 5000) < 0; left--)
		ASSERT_EQ(errno, EINTR);
	ASSERT(ready.revents & POLLIN);
	return dmabuf_sync_lock_finish(w->sync);
}

static int take_by_fence(struct worker *w, const struct set *set)
{
	struct dma_fence *fence;
	int err = get_all(w, set);

	if (!err)
		err = dmabuf_sync_lock_async(w->sync, PATIENCE_MS, &fence);
	if (err)
		return err;
	/* Some change their mind. */
	if (below(&w->random, 8) == 0 && !dma_fence_is_signaled(fence)) {
		ASSERT_OK(dmabuf_sync_cancel(w->sync));
		ASSERT(dma_fence_is_signaled(fence));
		dma_fence_put(fence);
		return -EBUSY;
	}
	ASSERT(dma_fence_wait_timeout(fence, false, PATIENCE_MS + 5000) > 0);
	dma_fence_put(fence);
	return dmabuf_sync_lock_finish(w->sync);
}

static const char *torture_name(struct dma_fence *fence)
{
	return "torture";
}

/* The completion of somebody's job gives the buffers back. */
static int give_by_fence(struct worker *w, const struct set *set)
{
	static const struct dma_fence_ops ops = {
		.get_driver_name = torture_name,
		.get_timeline_name = torture_name,
	};
	static struct dma_fence_lock lock = DMA_FENCE_LOCK_INIT;
	struct dma_fence *fence = calloc(1, sizeof(*fence));
	int err;

	ASSERT(fence);
	dma_fence_init(fence, &ops, &lock, 1, ++w->sequence);
	/* An unlock by a fence tells nobody that the hold had been lost. */
	err = dmabuf_sync_is_locked(w->sync) ? 0 : -ETIMEDOUT;
	ASSERT_OK(dmabuf_sync_unlock_fence(w->sync, fence));
	ASSERT_OK(dma_fence_signal(fence));
	dma_fence_put(fence);
	dmabuf_sync_put_all(w->sync);
	return err;
}

static int flock_kind(const struct set *set)
{
	return set->writes ? LOCK_EX : LOCK_SH;
}

static int take_single(struct worker *w, const struct set *set)
{
	return dmabuf_sync_single_lock(w->dmabuf[set->buffer[0]], set->type[0],
				       below(&w->random, 2));
}

static int give_single(struct worker *w, const struct set *set)
{
	return dmabuf_sync_single_unlock(w->dmabuf[set->buffer[0]]);
}

/* Asked again: as it is, or it is taken anew. */
static bool held_single(struct worker *w, const struct set *set)
{
	int ret = dma_buf_flock_timeout(all->fds[set->buffer[0]], flock_kind(set), 0);

	return ret == 0;
}

static int take_flock(struct worker *w, const struct set *set)
{
	int fd = all->fds[set->buffer[0]];

	if (below(&w->random, 3) == 0)
		return dma_buf_flock(fd, flock_kind(set) | LOCK_NB);
	return dma_buf_flock_timeout(fd, flock_kind(set), PATIENCE_MS);
}

static int give_flock(struct worker *w, const struct set *set)
{
	return dma_buf_flock(all->fds[set->buffer[0]], LOCK_UN);
}

static const struct operation operations[] = {
	{ "lock", 22, false, true, take_waiting, give_sync, held_sync },
	{ "lock with a deadline", 20, false, false, take_with_a_deadline, give_sync, held_sync },
	{ "interruptible lock", 8, false, true, take_interruptibly, give_sync, held_sync },
	{ "descriptor", 8, false, false, take_by_descriptor, give_sync, held_sync },
	{ "fence", 10, false, false, take_by_fence, give_by_fence, held_sync },
	{ "trylock", 15, false, false, take_now, give_sync, held_sync },
	{ "single", 7, true, true, take_single, give_single, held_single },
	{ "flock", 10, true, true, take_flock, give_flock, held_single },
};
#define KINDS (sizeof(operations) / sizeof(operations[0]))

static unsigned int choose_operation(struct worker *w)
{
	unsigned int at = below(&w->random, 100), i;

	for (i = 0; i < KINDS - 1 && at >= operations[i].weight; i++)
		at -= operations[i].weight;
	return i;
}

static void choose_set(struct worker *w, const struct operation *op, struct set *set)
{
	unsigned int want = op->single ? 1 : 1 + below(&w->random, GROUP), i, j;
	bool writes = below(&w->random, 2) == 0;

	memset(set, 0, sizeof(*set));
	for (i = 0; i < want; i++) {
		/* Some are wanted by all. */
		unsigned int buffer = below(&w->random, below(&w->random, 2) ? BUFFERS : 4);

		for (j = 0; j < set->count && set->buffer[j] != buffer; j++)
			;
		if (j < set->count)
			continue;
		set->buffer[j] = buffer;
		set->type[j] = writes && (i == 0 || below(&w->random, 2)) ? DMA_BUF_ACCESS_W
									  : DMA_BUF_ACCESS_R;
		set->writes |= set->type[j] == DMA_BUF_ACCESS_W;
		if (!op->single && below(&w->random, 8) == 0)
			set->type[j] |= DMA_BUF_ACCESS_DMA;
		set->count++;
	}
}

#define WORDS (SIZE / sizeof(uint64_t))

/* Full of one word? */
static bool whole(const uint64_t *at, uint64_t *word)
{
	const volatile uint64_t *now = at;
	size_t i;

	*word = now[0];
	for (i = 1; i < WORDS; i++)
		if (now[i] != *word)
			return false;
	return true;
}

static void check_member(struct worker *w, const struct operation *op, struct set *set,
			 unsigned int i, uint64_t since)
{
	uint64_t first = 0, second = 0;
	bool good;

	if (set->torn[i])
		return;
	good = whole(w->at[set->buffer[i]], &first) && whole(w->at[set->buffer[i]], &second) &&
	       first == second;
	/* It may be ours no more; if somebody wrote since, it is not. */
	if (!good && op->held(w, set))
		note_event(&all->found, set->buffer[i], since,
			   "worker %u by %s to %s: %llx, then %llx", w->number, op->name,
			   set->writes ? "write" : "read", (unsigned long long)first,
			   (unsigned long long)second);
}

static void fill(struct worker *w, const struct operation *op, const struct set *set,
		 unsigned int i, uint64_t since)
{
	volatile uint64_t *at = w->at[set->buffer[i]];
	uint64_t word = (uint64_t)(w->number + 1) << 56 | ++w->sequence, seen;
	size_t k;

	if (below(&w->random, 4) == 0) {
		/* By the kernel, which does not stop in the middle when we are killed. */
		word = w->pattern_word;
		ASSERT_EQ(pread(w->pattern, w->at[set->buffer[i]], SIZE, 0), SIZE);
	} else {
		for (k = 0; k < WORDS; k++)
			at[k] = word;
	}
	if (!(whole(w->at[set->buffer[i]], &seen) && seen == word) && op->held(w, set))
		note_event(&all->found, set->buffer[i], since,
			   "worker %u by %s wrote %llx and found %llx", w->number, op->name,
			   (unsigned long long)word, (unsigned long long)seen);
}

static void find_torn(struct worker *w, const struct operation *op, struct set *set)
{
	struct dma_buf_access_info info;
	unsigned int i;

	atomic_fetch_add(&w->seat->told, 1);
	for (i = 0; i < set->count; i++)
		set->torn[i] =
			op->single ||
			dmabuf_sync_get_torn(w->sync, w->dmabuf[set->buffer[i]], &info, 1) != 0;
}

/* A reader may find that the torn content is whole after all. */
static void repair(struct worker *w, const struct operation *op, struct set *set)
{
	uint64_t word;
	unsigned int i;

	for (i = 0; i < set->count && !op->single; i++)
		if (set->torn[i] && !(set->type[i] & DMA_BUF_ACCESS_W) &&
		    whole(w->at[set->buffer[i]], &word) && op->held(w, set)) {
			ASSERT_OK(dmabuf_sync_repaired(w->sync, w->dmabuf[set->buffer[i]]));
			atomic_fetch_add(&w->seat->repaired, 1);
		}
}

static void access_all(struct worker *w, const struct operation *op, struct set *set,
		       uint64_t since)
{
	/* Mostly short, so that they meet often, and sometimes long, so that others sleep. */
	unsigned int turns = below(&w->random, 10) ? 1 : 1 + below(&w->random, 100), i;

	while (turns--) {
		for (i = 0; i < set->count; i++)
			check_member(w, op, set, i, since);
		for (i = 0; i < set->count; i++)
			if (set->type[i] & DMA_BUF_ACCESS_W)
				fill(w, op, set, i, since);
	}
}

static void hold(struct worker *w, const struct operation *op, struct set *set, bool told)
{
	uint64_t since = now_ns(), took;
	unsigned int i, bit = 0;
	int ret;

	/* Who is stopped from here on is not continued if it writes; before, it looks again. */
	atomic_store(&w->seat->state, set->writes ? WRITING : READING);
	if (told)
		find_torn(w, op, set);
	if (op->held(w, set)) {
		access_all(w, op, set, since);
		repair(w, op, set);
	}
	ret = op->give(w, set);
	took = now_ns() - since;
	if (ret == -ETIMEDOUT) {
		atomic_fetch_add(&w->seat->lost, 1);
		for (i = 0; i < set->count && set->writes; i++)
			note_event(&all->late, set->buffer[i], since, "worker %u", w->number);
	} else if (ret) {
		note_event(&all->wrong, set->buffer[0], since, "%s gives back: %d %.60s", op->name,
			   ret, dmabuf_last_error());
	}
	atomic_store(&w->seat->state, OUTSIDE);
	while (took >>= 1)
		bit++;
	if (all->phase == QUIET)
		atomic_fetch_add(&w->seat->holds[bit], 1);
}

static void note_wait(struct worker *w, uint64_t ns)
{
	enum phase phase = all->phase;

	if (ns > atomic_load(&w->seat->worst[phase]))
		atomic_store(&w->seat->worst[phase], ns);
}

static void step(struct worker *w)
{
	unsigned int kind = choose_operation(w);
	const struct operation *op = &operations[kind];
	struct set set;
	uint64_t took;
	int ret;

	choose_set(w, op, &set);
	atomic_store(&w->seat->operation, kind);
	atomic_store(&w->seat->state, LOCKING);
	atomic_store(&w->seat->since, now_ns());
	ret = op->take(w, &set);
	took = now_ns() - atomic_exchange(&w->seat->since, 0);
	atomic_fetch_add(&w->seat->done[kind], 1);
	if (op->waits)
		note_wait(w, took);
	if (!ret || ret == -EOWNERDEAD) {
		hold(w, op, &set, ret != 0);
		return;
	}
	atomic_store(&w->seat->state, OUTSIDE);
	dmabuf_sync_put_all(w->sync);
	if (ret == -EBUSY || ret == -EWOULDBLOCK)
		atomic_fetch_add(&w->seat->busy, 1);
	else if (ret == -EINTR)
		atomic_fetch_add(&w->seat->interrupted, 1);
	else if (ret == -ETIMEDOUT && took < (PATIENCE_MS - 100) * 1000000ull)
		atomic_fetch_add(&w->seat->timeouts, 1);
	else
		note_event(&all->wrong, set.buffer[0], now_ns() - took, "%s: %d %.70s", op->name,
			   ret, dmabuf_last_error());
}

static void handler(int signal)
{
}

/* A file full of one word, on the disk if it can be read from there directly, else in memory. */
static void pattern_new(struct worker *w)
{
	char path[] = "/tmp/dmabuf-torture-XXXXXX";
	uint64_t words[WORDS];
	int direct = -1, fd;
	size_t i;

	w->pattern_word = (uint64_t)(w->number + 1) << 56 | 0xf1e0000000000000ull >> 8;
	for (i = 0; i < WORDS; i++)
		words[i] = w->pattern_word;
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT_OK(fd);
	ASSERT_EQ(write(fd, words, sizeof(words)), sizeof(words));
	if (w->number % 2)
		direct = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	unlink(path);
	w->pattern = direct >= 0 ? direct : fd;
	if (direct >= 0)
		close(fd);
}

static int work(void *arg)
{
	struct worker w = { .seat = arg };
	unsigned int i;

	w.number = (unsigned int)(w.seat - all->seat);
	w.random = (unsigned int)now_ns() ^ (unsigned int)getpid() * 2654435761u;
	w.sequence = now_ns() & 0xffffffffffffull;
	pattern_new(&w);
	w.sync = dmabuf_sync_init(NULL, "torture");
	for (i = 0; i < BUFFERS; i++) {
		w.dmabuf[i] = dma_buf_get(all->fds[i]);
		if (!w.dmabuf[i])
			FAIL("a handle: %s", dmabuf_last_error());
		w.at[i] = dma_buf_vmap(w.dmabuf[i]);
		ASSERT(w.at[i]);
	}
	while (!atomic_load(&all->end))
		step(&w);
	dmabuf_sync_fini(w.sync);
	for (i = 0; i < BUFFERS; i++) {
		dma_buf_vunmap(w.dmabuf[i], w.at[i]);
		dma_buf_put(w.dmabuf[i]);
		close(all->fds[i]);
	}
	close(w.pattern);
	return 0;
}

/* What the test does to them. */
struct victim {
	pid_t pid;
	bool stopped, doomed;
	uint64_t until;
};

static struct victim victims[WORKERS];
static unsigned int chance;
static unsigned long deaths, stops;

static void start(unsigned int i)
{
	victims[i] = (struct victim){ .pid = spawn(work, &all->seat[i]) };
}

static void kill_one(unsigned int i)
{
	kill(victims[i].pid, SIGKILL);
	ASSERT_EQ(reap(victims[i].pid), 128 + SIGKILL);
	atomic_store(&all->seat[i].since, 0);
	atomic_store(&all->seat[i].state, OUTSIDE);
	deaths++;
	start(i);
}

static void stop_one(unsigned int i)
{
	struct victim *v = &victims[i];
	siginfo_t info;

	kill(v->pid, SIGSTOP);
	if (waitid(P_PID, (id_t)v->pid, &info, WSTOPPED | WEXITED | WNOWAIT))
		FAIL("waiting for worker %u to stop: %s", i, strerror(errno));
	if (info.si_code != CLD_STOPPED)
		FAIL("worker %u is not stopped: code %d, status %d, %s", i, info.si_code,
		     info.si_status, operations[all->seat[i].operation].name);
	stops++;
	v->stopped = true;
	v->doomed = atomic_load(&all->seat[i].state) == WRITING;
	/* Mostly within the lease, sometimes not. */
	v->until = now_ns() +
		   (below(&chance, 20) ? below(&chance, 50) : LEASE_MS + below(&chance, 900)) *
			   1000000ull;
}

static void end_stop(unsigned int i)
{
	struct victim *v = &victims[i];

	if (v->doomed) {
		kill_one(i);
		return;
	}
	v->stopped = false;
	kill(v->pid, SIGCONT);
}

/* In half of the cases one that does something worth it, if there is one in a while. */
static unsigned int choose_victim(void)
{
	int wanted = (int)below(&chance, 8);
	unsigned int looks, i;

	for (looks = 0; wanted && wanted <= WRITING && looks < 20000; looks++) {
		i = looks % WORKERS;
		if (!victims[i].stopped && atomic_load(&all->seat[i].state) == wanted)
			return i;
	}
	return below(&chance, WORKERS);
}

static void strike(void)
{
	unsigned int i = choose_victim();

	if (victims[i].stopped)
		return;
	switch (below(&chance, 4)) {
	case 0:
		kill_one(i);
		break;
	case 1:
		stop_one(i);
		break;
	default:
		kill(victims[i].pid, SIGUSR1);
	}
}

static void look_after(void)
{
	uint64_t now = now_ns();
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		uint64_t since = atomic_load(&all->seat[i].since);

		if (victims[i].stopped && (now > victims[i].until || atomic_load(&all->end)))
			end_stop(i);
		if (!victims[i].stopped && since && now > since &&
		    now - since > (PATIENCE_MS + 40000) * 1000000ull)
			FAIL("worker %u hangs in %s", i, operations[all->seat[i].operation].name);
	}
}

static uint64_t sum(size_t offset)
{
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		total += atomic_load((_Atomic(uint64_t) *)(void *)((char *)&all->seat[i] + offset));
	return total;
}

#define SUM(member) ((unsigned long long)sum(offsetof(struct seat, member)))

static double worst(enum phase phase)
{
	uint64_t most = 0;
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		if (all->seat[i].worst[phase] > most)
			most = all->seat[i].worst[phase];
	return (double)most / 1e6;
}

static double median_hold(void)
{
	uint64_t total = 0, so_far = 0, of[64];
	unsigned int i;

	for (i = 0; i < 64; i++)
		total += of[i] = sum(offsetof(struct seat, holds) + i * sizeof(uint64_t));
	for (i = 0; i < 63 && (so_far += of[i]) < total / 2; i++)
		;
	return (double)(1ull << i) * 1.5 / 1e6;
}

/* Was a living writer at it that had lost the buffer? */
static bool excused(const struct event *found)
{
	unsigned int count = atomic_load(&all->late.count), i;

	for (i = 0; i < count && i < EVENTS; i++)
		if (all->late.event[i].buffer == found->buffer &&
		    all->late.event[i].from < found->to && all->late.event[i].to > found->from)
			return true;
	return false;
}

static unsigned int violations(void)
{
	unsigned int count = atomic_load(&all->found.count), i, bad = 0;

	for (i = 0; i < count && i < EVENTS; i++) {
		if (excused(&all->found.event[i]))
			continue;
		if (bad++ < 10)
			test_note("violation: buffer %u, %s", all->found.event[i].buffer,
				  all->found.event[i].what);
	}
	count = atomic_load(&all->wrong.count);
	for (i = 0; i < count && i < 10; i++)
		test_note("wrong: buffer %u, %s", all->wrong.event[i].buffer,
			  all->wrong.event[i].what);
	return bad + count;
}

static void report(struct dma_buf **dmabuf)
{
	unsigned long long recovered = 0, leases = 0, operations_done = 0;
	struct dma_buf_counters counters;
	double hold_ms = median_hold();
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		ASSERT_OK(dma_buf_get_counters(dmabuf[i], &counters));
		recovered += counters.recovered;
		leases += counters.leases_lost;
	}
	for (i = 0; i < KINDS; i++) {
		operations_done += SUM(done[i]);
		test_note("%-22s %10llu", operations[i].name, SUM(done[i]));
	}
	test_note("%llu operations: %llu busy, %llu timeouts, %llu interrupted", operations_done,
		  SUM(busy), SUM(timeouts), SUM(interrupted));
	test_note("%lu deaths, %llu clients cleaned up, %lu stops, %llu leases lost (%llu noticed)",
		  deaths, recovered, stops, leases, SUM(lost));
	test_note("%llu told of torn content, %llu found it whole and said so", SUM(told),
		  SUM(repaired));
	test_note("worst wait %.1f ms undisturbed (20 * median hold of %.3f ms * %d: %.1f ms), "
		  "%.1f ms with deaths and stops",
		  worst(QUIET), hold_ms, WORKERS - 1, 20 * hold_ms * (WORKERS - 1), worst(STORM));
	test_note("%u findings excused by %u holds that living writers had lost",
		  atomic_load(&all->found.count), atomic_load(&all->late.count));
}

static void finish(void)
{
	uint64_t until = now_ns() + (PATIENCE_MS + 40000) * 1000000ull;
	unsigned int i;

	atomic_store(&all->end, true);
	for (i = 0; i < WORKERS; i++)
		if (victims[i].stopped)
			end_stop(i);
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(reap_within(victims[i].pid, (int)((until - now_ns()) / 1000000)), 0);
}

static unsigned int setting(const char *name, unsigned int otherwise)
{
	const char *value = getenv(name);

	return value ? (unsigned int)strtoul(value, NULL, 0) : otherwise;
}

TEST_TIMEOUT(D3_D4_D5_D8_killed_stopped_and_interrupted_processes_never_meet_in_a_buffer, 7200)
{
	uint64_t seconds = setting("DMABUF_TORTURE_SECONDS", test_is_slow() ? 6 : 25), began, now;
	struct sigaction action = { .sa_handler = handler };
	struct dma_buf *dmabuf[BUFFERS];
	unsigned int i;
	int ret;

	/* For the workers, from the moment that they are there. */
	sigaction(SIGUSR1, &action, NULL);
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(all != MAP_FAILED);
	chance = setting("DMABUF_TORTURE_SEED", (unsigned int)now_ns());
	test_note("DMABUF_TORTURE_SEED=%u DMABUF_TORTURE_SECONDS=%u", chance,
		  (unsigned int)seconds);
	for (i = 0; i < BUFFERS; i++) {
		dmabuf[i] = dma_buf_alloc("torture", SIZE, O_RDWR);
		ASSERT(dmabuf[i]);
		all->fds[i] = dma_buf_fd(dmabuf[i], O_CLOEXEC);
	}
	for (i = 0; i < WORKERS; i++)
		start(i);
	for (began = now = now_ns(); now - began < seconds * 1000000000u; now = now_ns()) {
		all->phase = now - began < seconds * 200000000u ? QUIET : STORM;
		if (all->phase == STORM)
			strike();
		look_after();
		/* A strike now and then, not a schedule. */
		poll(NULL, 0, (int)below(&chance, 6));
	}
	finish();
	report(dmabuf);
	ASSERT_EQ(violations(), 0);
	for (i = 0; i < BUFFERS; i++) {
		ret = dmabuf_sync_single_lock(dmabuf[i], DMA_BUF_ACCESS_W, true);
		ASSERT(ret == 0 || ret == -EOWNERDEAD);
		ASSERT_OK(dmabuf_sync_single_unlock(dmabuf[i]));
		ASSERT_EQ(peer_info(dmabuf[i]).access_count, 0);
		close(all->fds[i]);
		dma_buf_put(dmabuf[i]);
	}
	munmap(all, sizeof(*all));
}
