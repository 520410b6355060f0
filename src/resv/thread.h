/* SPDX-License-Identifier: MIT */
/*
 * The library's thread for reservations: it sleeps on the words of any number of waiting entries at
 * once (futex_waitv, up to 127 words, and more in rounds; where the kernel has no such call it
 * looks every few milliseconds) and calls a function for each whose word changed or whose time has
 * come. It is started when there is something to look after, and ends when there has been nothing
 * for a while. All signals are blocked in it. A forked child has nothing of it.
 *
 * Its lock is innermost: everything here may be called with any lock held but the registry's and
 * what the registry holds across fork().
 */
#ifndef DMABUF_RESV_THREAD_H
#define DMABUF_RESV_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"

struct resv_sleeper;

/*
 * Called in the thread, with no lock held. May set words and until for the next time.
 * False: the thread looks after it no more.
 */
typedef bool (*resv_look_fn)(struct resv_sleeper *sleeper);

#define RESV_SLEEPER_WORDS 2

/* While *@word, which processes share, is @expected, there is nothing to look for. */
struct resv_word_watch {
	_Atomic(uint32_t) *word;
	uint32_t expected;
};

/* Counted, because a look may be under way when its user gives it up. */
struct resv_sleeper {
	struct dmabuf_list link; /* guarded by the thread's lock */
	bool listed;		 /* likewise */
	_Atomic(unsigned int) refs;
	atomic_bool kicked;
	resv_look_fn look;
	void (*release)(struct resv_sleeper *sleeper);
	/* The thread's own, while it is listed. */
	unsigned int count;
	struct resv_word_watch words[RESV_SLEEPER_WORDS];
	uint64_t until; /* of clock_ns(), or FUTEX_FOREVER */
};

/* One reference, the caller's. */
void resv_sleeper_init(struct resv_sleeper *sleeper, resv_look_fn look,
		       void (*release)(struct resv_sleeper *sleeper));
void resv_sleeper_get(struct resv_sleeper *sleeper);
void resv_sleeper_put(struct resv_sleeper *sleeper);

/*
 * The thread looks after it from now on, and has a reference; resv_thread_kick() makes it notice
 * words and times that were set before. Starts the thread if there is none.
 * 0; -EAGAIN, -ENOMEM: no thread can be had, with words.
 */
int resv_thread_add(struct resv_sleeper *sleeper);

/*
 * No more. A look that began goes on, so what it looks at is guarded by a lock of the user's; but
 * the word is not read any more. Ignored if it is not looked after.
 */
void resv_thread_remove(struct resv_sleeper *sleeper);

/* It stays listed, but its words go: what they are in may be unmapped after this. */
void resv_thread_forget_words(struct resv_sleeper *sleeper);

/*
 * Have it looked at soon. For whoever has a reference; takes no lock, and makes a system call only
 * if the thread sleeps.
 */
void resv_thread_kick(struct resv_sleeper *sleeper);

/* Is this the thread? */
bool resv_thread_is_self(void);

#endif
