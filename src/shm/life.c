// SPDX-License-Identifier: MIT
#include "shm/life.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "futex.h"
#include "library-thread.h"
#include "process.h"
#include "shm/sleep.h"

/* The kernel silently ignores what comes after ROBUST_LIST_LIMIT. */
#define NODES_MAX 2000
/* The thread ends when it was not needed for so long. */
#define LINGER_NS 500000000u

/* What the kernel walks: a list of next pointers, each at one distance from its word. */
struct life_node {
	struct life_node *next;
};

static struct {
	pthread_mutex_t lock;
	uint32_t changes;      /* of what follows; where it is slept on */
	struct life_node head; /* with the next two: struct robust_list_head */
	long distance;
	struct life_node *pending;
	uint64_t cookie; /* of the process that has the thread */
	uint32_t tid;	 /* the thread's; 0: not there yet, or no more */
	unsigned int nodes;
} list = { .lock = PTHREAD_MUTEX_INITIALIZER };

_Static_assert(sizeof(struct robust_list_head) == 3 * sizeof(void *), "no holes");

static void changed(void)
{
	__atomic_fetch_add(&list.changes, 1, __ATOMIC_RELEASE);
	futex_wake(&list.changes, INT_MAX);
}

/* With the lock held, which is given back meanwhile. */
static int wait_for_change(uint64_t deadline)
{
	uint32_t seen = __atomic_load_n(&list.changes, __ATOMIC_ACQUIRE);
	int ret;

	pthread_mutex_unlock(&list.lock);
	ret = futex_wait(&list.changes, seen, deadline);
	pthread_mutex_lock(&list.lock);
	return ret;
}

/* The kernel walks the list with the thread's end, so it ends only with an empty one. */
static void *keep_list(void *arg)
{
	pthread_mutex_lock(&list.lock);
	syscall(SYS_set_robust_list, &list.head, sizeof(struct robust_list_head));
	list.tid = (uint32_t)syscall(SYS_gettid);
	changed();
	do
		while (list.nodes)
			wait_for_change(FUTEX_FOREVER);
	while (wait_for_change(clock_ns() + LINGER_NS) != -ETIMEDOUT || list.nodes);
	list.tid = 0;
	list.cookie = 0;
	pthread_mutex_unlock(&list.lock);
	return arg;
}

/* With the lock held, which is given back while the thread starts. Its id, or 0. */
static uint32_t ensure_thread(void)
{

	if (list.cookie != process_cookie()) {
		list.head.next = &list.head;
		list.distance = (long)page_size();
		list.pending = NULL;
		list.nodes = 0;
		list.tid = 0;
		list.cookie = library_thread(NULL, keep_list, NULL) ? 0 : process_cookie();
	}
	while (list.cookie && !list.tid)
		wait_for_change(FUTEX_FOREVER);
	return list.tid;
}

static bool map_pages(struct life *life, int fd, size_t file_size)
{
	size_t page = page_size();
	off_t at = (off_t)(file_size - page);
	char *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return false;
	if (mmap(pages + page, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, at) ==
		    MAP_FAILED ||
	    madvise(pages, 2 * page, MADV_DONTFORK)) {
		munmap(pages, 2 * page);
		return false;
	}
	life->pages = pages;
	return true;
}

void life_begin(struct life *life, struct control *c, int fd, uint32_t slot)
{
	size_t at = (size_t)((char *)&c->header->life[slot].word - (char *)c->header) +
		    page_size() - SHM_HEADER_SIZE;
	uint32_t tid;

	if (life->pages || !map_pages(life, fd, c->file_size))
		return;
	pthread_mutex_lock(&list.lock);
	tid = list.nodes < NODES_MAX ? ensure_thread() : 0;
	if (tid) {
		life->node = (struct life_node *)((char *)life->pages + at);
		life->node->next = list.head.next;
		/* The word names the thread before the list has it, and the list has it at once. */
		atomic_store(&c->header->life[slot].word, tid | FUTEX_WAITERS);
		__atomic_store_n(&list.head.next, life->node, __ATOMIC_RELEASE);
		list.nodes++;
	}
	pthread_mutex_unlock(&list.lock);
	if (!tid)
		life_forget(life);
}

static void unlink_node(struct life_node *node)
{
	struct life_node **link = &list.head.next;

	while (*link != node && *link != &list.head)
		link = &(*link)->next;
	if (*link != node)
		return;
	__atomic_store_n(link, node->next, __ATOMIC_RELEASE);
	list.nodes--;
	changed();
}

void life_end(struct life *life, struct control *c, uint32_t slot)
{
	if (!life->pages)
		return;
	pthread_mutex_lock(&list.lock);
	if (life->node && list.cookie == process_cookie())
		unlink_node(life->node);
	pthread_mutex_unlock(&list.lock);
	atomic_store(&c->header->life[slot].word, 0);
	shm_futex_wake_all(&c->header->life[slot].word);
	life_forget(life);
}

void life_forget(struct life *life)
{
	if (life->pages)
		munmap(life->pages, 2 * page_size());
	memset(life, 0, sizeof(*life));
}

bool life_ended(const struct control *c, uint32_t slot)
{
	return slot < DMA_BUF_MAX_CLIENTS &&
	       (atomic_load(&c->header->life[slot].word) & FUTEX_OWNER_DIED);
}

bool life_listen(const struct control *c, uint32_t slot, _Atomic(uint32_t) **word,
		 uint32_t *expected)
{
	if (slot >= DMA_BUF_MAX_CLIENTS)
		return false;
	*word = &c->header->life[slot].word;
	*expected = atomic_load(*word);
	return (*expected & FUTEX_TID_MASK) && !(*expected & FUTEX_OWNER_DIED);
}

#ifdef SYS_futex_waitv
static int wait_for_both(_Atomic(uint32_t) *word, uint32_t expected, _Atomic(uint32_t) *life,
			 uint32_t lives, uint64_t deadline_ns)
{
	struct futex_waitv both[2] = {
		{ .val = expected, .uaddr = (uintptr_t)word, .flags = FUTEX_32 },
		{ .val = lives, .uaddr = (uintptr_t)life, .flags = FUTEX_32 },
	};
	struct timespec ts = { .tv_sec = (time_t)(deadline_ns / 1000000000u),
			       .tv_nsec = (long)(deadline_ns % 1000000000u) };
	long ret = syscall(SYS_futex_waitv, both, 2, 0, &ts, CLOCK_MONOTONIC);

	if (ret == 1)
		/* The kernel wakes one. */
		shm_futex_wake_all(life);
	return ret >= 0 ? 0 : -errno;
}
#else
static int wait_for_both(_Atomic(uint32_t) *word, uint32_t expected, _Atomic(uint32_t) *life,
			 uint32_t lives, uint64_t deadline_ns)
{
	return -ENOSYS;
}
#endif

int life_wait(struct control *c, uint32_t slot, _Atomic(uint32_t) *word, uint32_t expected,
	      uint64_t deadline_ns)
{
	_Atomic(uint32_t) *life = slot < DMA_BUF_MAX_CLIENTS ? &c->header->life[slot].word : NULL;
	uint32_t lives = life ? atomic_load(life) : 0;
	int ret = -ENOSYS;

	if (lives & FUTEX_OWNER_DIED)
		return -EAGAIN;
	if (lives & FUTEX_TID_MASK)
		ret = wait_for_both(word, expected, life, lives, deadline_ns);
	if (ret == -EINTR || ret == -ETIMEDOUT || ret == -EAGAIN || !ret)
		return ret;
	return shm_futex_wait(word, expected, deadline_ns);
}
