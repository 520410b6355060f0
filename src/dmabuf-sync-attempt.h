/* SPDX-License-Identifier: MIT */
/*
 * An asynchronous lock on its way, for the files that move it along: dmabuf-sync-async.c starts it
 * and ends it for its user, dmabuf-sync-thread.c looks at it in the library's thread, both by the
 * steps of dmabuf-sync-attempt.c; dmabuf-sync-inputs.c has the fences that it waits for.
 */
#ifndef DMABUF_SRC_DMABUF_SYNC_ATTEMPT_H
#define DMABUF_SRC_DMABUF_SYNC_ATTEMPT_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dmabuf-sync-async.h"
#include "list.h"
#include "resv/thread.h"

enum attempt_state {
	ATTEMPT_WAITING,
	ATTEMPT_GRANTED, /* all are held, nobody has taken it over */
	ATTEMPT_FAILED,	 /* nothing is held, nobody has asked why */
	ATTEMPT_OVER,	 /* taken over, cancelled, or its function is called */
};

/* A fence that is waited for. Its callback has a reference to the attempt. */
struct sync_input {
	struct dma_fence_cb cb;
	struct sync_attempt *attempt;
	struct dma_fence *fence; /* a reference */
	bool added;
};

struct sync_attempt {
	struct resv_sleeper sleeper;
	pthread_mutex_t lock; /* guards all but what says otherwise; taken before the thread's */
	enum attempt_state state;
	int result; /* GRANTED: 0 or -EOWNERDEAD; FAILED: why */
	struct dmabuf_sync *sync;
	struct sync_member **members; /* the object's, while WAITING or GRANTED */
	unsigned int count;
	unsigned int at; /* those before are held */
	bool queued;	 /* for the one at @at */
	bool torn;
	bool started; /* the thread may look */
	uint64_t began;
	uint64_t deadline;
	uint64_t claim_by;
	struct resv_waiter waiter;
	struct dma_fence *fence; /* a reference, until it is signalled */
	sync_job_fn func;
	void *data;
	char words[384];
	_Atomic(int) pending;	  /* inputs that have not been signalled */
	_Atomic(int) input_error; /* the first one's that failed */
	unsigned int num_inputs;
	struct sync_input inputs[];
};

static inline struct sync_attempt *attempt_of(struct resv_sleeper *sleeper)
{
	return container_of(sleeper, struct sync_attempt, sleeper);
}

static inline bool attempt_holds(int ret)
{
	return !ret || ret == -EOWNERDEAD;
}

/* Waits for nothing yet. NULL with errno and words. */
struct sync_attempt *attempt_new(struct dmabuf_sync *sync, const struct sync_request *request);

/* What follows is with the attempt's lock held, unless it says otherwise. */

/* As far as it goes, and what comes of that. True: it came to its end now. */
bool attempt_step(struct sync_attempt *a);

/* All are held. @ret: 0 or -EOWNERDEAD. */
void attempt_grant(struct sync_attempt *a, int ret);

/* Granted, and nobody came for it. */
void attempt_pass_on(struct sync_attempt *a);

/* Nothing is held or queued for afterwards. */
void attempt_give_back(struct sync_attempt *a);

/*
 * The one who waited for it takes over: as dmabuf_sync_lock(); @thread is whose the locks are, 0:
 * nobody's.
 */
int attempt_take_over(struct sync_attempt *a, uintptr_t thread);

/* A job's end: the object is its function's. */
void attempt_take_over_for_job(struct sync_attempt *a);

/* Whoever takes it has the reference, and signals it without the lock. */
struct dma_fence *attempt_take_fence(struct sync_attempt *a);

/* Without the lock: NULL or a fence that was taken is signalled, with @result, and let go. */
void attempt_signal(struct dma_fence *fence, int result);

/* dmabuf-sync-inputs.c */

/* Without the lock. */
void attempt_watch_inputs(struct sync_attempt *a);
/* In the thread, with no lock held: a callback of the fence may be running and is waited for. */
void attempt_unwatch_inputs(struct sync_attempt *a);
/* 0; -EAGAIN: not all are signalled; -errno with words: one failed, or is late. */
int attempt_check_inputs(struct sync_attempt *a);

/* dmabuf-sync-thread.c: in the library's thread. True: it is to look again. */
bool attempt_look(struct resv_sleeper *sleeper);

#endif
