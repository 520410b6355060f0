// SPDX-License-Identifier: MIT
/*
 * Callbacks of fences run with the fence's lock held. One that completes an array has to signal it,
 * which takes the array's lock, while enabling the array takes the locks the other way round. So
 * such work is put off until the thread holds no lock; the kernel has irq_work for that.
 */
#include "dma-fence-lock.h"

#include "export.h"

#define LOCK_SPINS 64

/* Small and touched at each lock and unlock: in the thread's static block. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
	struct dma_fence_work *first;
	struct dma_fence_work *last;
	unsigned int held;
	bool running;
} here;

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool spin_for(struct dma_fence_lock *lock)
{
	uint32_t word;
	int i;

	for (i = 0; i < LOCK_SPINS; i++) {
		word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
		if (word == 2)
			return false;
		if (!word && __atomic_compare_exchange_n(&lock->word, &word, 1, false,
							 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
		relax();
	}
	return false;
}

void lock_word_sleep(struct dma_fence_lock *lock)
{
	if (spin_for(lock))
		return;
	while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE))
		futex_wait_quiet(&lock->word, 2);
}

void fence_work_queue(struct dma_fence_work *work, void (*func)(struct dma_fence_work *work))
{
	work->next = NULL;
	work->func = func;
	if (here.first)
		here.last->next = work;
	else
		here.first = work;
	here.last = work;
}

/* What runs here may queue more, which is run here too and not one deeper in the stack. */
static void work_run(void)
{
	struct dma_fence_work *work;

	here.running = true;
	while ((work = here.first)) {
		here.first = work->next;
		work->func(work);
	}
	here.running = false;
}

DMABUF_PUBLIC void dma_fence_lock_init(struct dma_fence_lock *lock)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
}

DMABUF_PUBLIC void dma_fence_lock_lock(struct dma_fence_lock *lock)
{
	lock_word_take(lock);
	here.held++;
}

DMABUF_PUBLIC bool dma_fence_lock_trylock(struct dma_fence_lock *lock)
{
	uint32_t free_word = 0;

	if (!__atomic_compare_exchange_n(&lock->word, &free_word, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return false;
	here.held++;
	return true;
}

DMABUF_PUBLIC void dma_fence_lock_unlock(struct dma_fence_lock *lock)
{
	lock_word_give(lock);
	here.held--;
	if (!here.held && here.first && !here.running)
		work_run();
}
