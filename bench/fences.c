// SPDX-License-Identifier: MIT
/*
 * Fences: signalling with nobody waiting, asking, and waking those who wait. Fences are used once,
 * so a batch of them is made beforehand; the limit works on words that lie as far apart.
 */
#include <stdatomic.h>

#include <dmabuf/dma-fence.h>

#include "bench.h"
#include "fence-wake.h"
#include "peer-xshmfence.h"

#define BATCH 1024

static struct dma_fence_lock lock;
static struct dma_fence fences[BATCH];
static struct dma_fence signaled;
static struct {
	_Atomic(unsigned long) word;
	char rest[sizeof(struct dma_fence) - sizeof(long)];
} words[BATCH];

static const char *name_of(struct dma_fence *fence)
{
	return "bench";
}

static const struct dma_fence_ops ops = {
	.get_driver_name = name_of,
	.get_timeline_name = name_of,
};

static void start(void)
{
	bench_pin(0);
	dma_fence_lock_init(&lock);
	dma_fence_init(&signaled, &ops, &lock, dma_fence_context_alloc(1), 1);
	bench_check_err(dma_fence_signal(&signaled), "dma_fence_signal");
	peer_xshmfence_start();
}

static void add(struct bench_sample *sum, const struct bench_sample *part)
{
	sum->wall_ns += part->wall_ns;
	sum->cpu_ns += part->cpu_ns;
	sum->faults += part->faults;
}

static void run_signal(const struct bench_case *c, unsigned long repeat,
		       struct bench_sample *sample)
{
	struct bench_sample part;
	unsigned long done;
	int i;

	for (done = 0; done < repeat; done += BATCH) {
		for (i = 0; i < BATCH; i++)
			dma_fence_init(&fences[i], &ops, &lock, 1, done + (unsigned long)i);
		bench_begin(&part);
		for (i = 0; i < BATCH; i++)
			bench_check_err(dma_fence_signal(&fences[i]), "dma_fence_signal");
		bench_end(&part);
		add(sample, &part);
	}
}

static void run_exchange(const struct bench_case *c, unsigned long repeat,
			 struct bench_sample *sample)
{
	struct bench_sample part;
	unsigned long done;
	int i;

	for (done = 0; done < repeat; done += BATCH) {
		for (i = 0; i < BATCH; i++)
			atomic_store_explicit(&words[i].word, 0, memory_order_relaxed);
		bench_begin(&part);
		for (i = 0; i < BATCH; i++)
			bench_check(!atomic_exchange(&words[i].word, 1), "exchange");
		bench_end(&part);
		add(sample, &part);
	}
}

/* The load is there each time, although the answer is the same. */
static void run_query(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	unsigned long i;

	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		bench_check(dma_fence_is_signaled(&signaled), "dma_fence_is_signaled");
	bench_end(sample);
}

static void run_load(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	unsigned long i;

	atomic_store(&words[0].word, 1);
	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		bench_check(atomic_load_explicit(&words[0].word, memory_order_acquire) == 1,
			    "load");
	bench_end(sample);
}

static struct dma_fence wake_fences[FENCE_WAKE_MOST];

static void fence_make(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		dma_fence_init(&wake_fences[i], &ops, &lock, 2, i + 1);
}

static void fence_wait(unsigned int i)
{
	bench_check_err((int)dma_fence_wait(&wake_fences[i], false), "dma_fence_wait");
}

static void fence_signal(unsigned int i)
{
	bench_check_err(dma_fence_signal(&wake_fences[i]), "dma_fence_signal");
}

static const struct fence_kind ours = { fence_make, fence_wait, fence_signal, NULL };

/* clang-format off */
#define FENCE(id, text, baseline, times, ratio, ns, f) \
	{ id, text, baseline, 0, times, ratio, ns, f, NULL }
#define WAKE(id, text, baseline, n, ratio, kind) \
	{ id, text, baseline, 0, 4, ratio, 0, fence_wake_run, &(const struct fence_wake){ &(kind), n } }

static const struct bench_case cases[] = {
	FENCE("exchange", "an exchange of a word", NULL, 16 * BATCH, 0, 0, run_exchange),
	FENCE("signal", "dma_fence_signal(), nobody waits", "exchange", 16 * BATCH, 0, 10,
	      run_signal),
#ifdef HAVE_XSHMFENCE
	FENCE("xshm-signal", "xshmfence_trigger(), nobody waits", "exchange", 20000, 0, 0,
	      peer_xshmfence_run_signal),
#endif
	FENCE("load", "a load of a word", NULL, 200000, 0, 0, run_load),
	FENCE("query", "dma_fence_is_signaled()", "load", 200000, 0, 1, run_query),
#ifdef HAVE_XSHMFENCE
	FENCE("xshm-query", "xshmfence_query()", "load", 200000, 0, 0, peer_xshmfence_run_query),
#endif
	WAKE("futex-1", "wake 1 thread: FUTEX_WAKE", NULL, 1, 0, fence_kind_futex),
	WAKE("wake-1", "wake 1: dma_fence_signal()", "futex-1", 1, 1.05, ours),
#ifdef HAVE_XSHMFENCE
	WAKE("xshm-1", "wake 1: xshmfence_trigger()", "futex-1", 1, 0, fence_kind_xshmfence),
#endif
	WAKE("futex-8", "wake 8 threads: FUTEX_WAKE", NULL, 8, 0, fence_kind_futex),
	WAKE("wake-8", "wake 8: dma_fence_signal()", "futex-8", 8, 1.05, ours),
#ifdef HAVE_XSHMFENCE
	WAKE("xshm-8", "wake 8: xshmfence_trigger()", "futex-8", 8, 0, fence_kind_xshmfence),
#endif
	WAKE("futex-64", "wake 64 threads: FUTEX_WAKE", NULL, 64, 0, fence_kind_futex),
	WAKE("wake-64", "wake 64: dma_fence_signal()", "futex-64", 64, 1.05, ours),
#ifdef HAVE_XSHMFENCE
	WAKE("xshm-64", "wake 64: xshmfence_trigger()", "futex-64", 64, 0, fence_kind_xshmfence),
#endif
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "fences",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = 51,
		.start = start,
	};

	return bench_main(argc, argv, &subject);
}
