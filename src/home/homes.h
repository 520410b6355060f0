/* SPDX-License-Identifier: MIT */
/*
 * Inside the homes of this process. One lock guards what is in here; the worker and the log are
 * called without it, as they have locks that are held across fork(), too.
 */
#ifndef DMABUF_SRC_HOME_HOMES_H
#define DMABUF_SRC_HOME_HOMES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#define HASH_NONFATAL_OOM 1 /* else it ends the process */
#include <uthash.h>

#include "home/home.h"
#include "home/wire.h"
#include "list.h"
#include "worker.h"

/* What is in force, and what is prepared. */
#define HOME_KEPT 4
/* Visitors at a time; for one too many, one goes of the user who has most of them. */
#define OFFICE_VISITORS 64
#define OFFICE_VISITORS_MOST 96 /* with those who came when it was full */
/* Requests that take a while: at work on, and waiting for their turn, and those of one home, which
 * are as many as it can have holders. */
#define OFFICE_THREADS 4
#define OFFICE_JOBS 192
#define HOME_JOBS 64

struct kept {
	int fd; /* -1: the place is free */
	struct home_storage storage;
};

struct home {
	uint64_t number; /* of this process; the second half of the address's name */
	uint64_t cookie; /* of the process that opened it */
	struct office *office;
	struct home_address address;
	char name[DMA_BUF_HEAP_NAME_LEN];
	uint64_t size;
	const struct home_ops *ops;
	void *priv;
	unsigned int refs; /* home_open()'s, and those of who is at work for it */
	unsigned int jobs; /* of visitors, of which one at a time */
	bool working;	   /* is worked on */
	bool closed;
	bool preparing;		/* one allocation at a time, */
	pthread_cond_t changed; /* and this says when it is done */
	uint64_t last_generation;
	struct kept kept[HOME_KEPT];
	struct worker_timer abandoned; /* when what was prepared is let go */
	int travel_fd;		       /* home_connect() gives copies of it; -1: not made yet */
	struct visit *door;	       /* the other end of it */
	UT_hash_handle hh;
};

enum visit_state {
	VISIT_DOOR, /* knocks come here */
	VISIT_HELLO,
	VISIT_REQUEST,
};

/* One who came, or a door. Whoever takes it (visit_take()) ends it. */
struct visit {
	struct dmabuf_list link; /* of the office's; points at itself once it was taken */
	struct office *office;
	struct home *home; /* of a door; NULL: a visitor */
	int fd;
	uid_t user;
	uint64_t since; /* of clock_ns() */
	enum visit_state state;
	struct home_address address; /* that was asked for */
	struct wire_nonces nonces;
	struct worker_watch watch;
	struct worker_timer timer; /* not a door's */
};

/* One for all homes of the process. */
struct office {
	struct dmabuf_list link;
	uint8_t name[8];
	unsigned int homes;
	bool closing;
	int fd; /* listens */
	struct worker_watch watch;
	struct worker_timer pause; /* no descriptor was left to take a visitor */
	struct dmabuf_list visits; /* in the order in which they came */
	struct dmabuf_list doors;
	unsigned int visit_count;
};

/* homes.c */
void homes_lock(void);
void homes_unlock(void);
/* With the lock held: until @home->changed; false: @deadline (of clock_ms()) is over. */
bool homes_wait(struct home *home, uint64_t deadline);
/* One with this name, to be put; NULL: not of this process (any more). */
struct home *homes_get(const uint8_t name[16]);
void homes_put(struct home *home);
/* Is, or was, the home with this name one of this process, which still has others? */
bool homes_are_here(const uint8_t name[16]);

/* storages.c: for those in this process and for visitors. @deadline is of clock_ms(). */
int storages_fetch(struct home *home, uint64_t generation, struct home_storage *storage);
int storages_prepare(struct home *home, uint64_t base, const char (*heaps)[DMA_BUF_HEAP_NAME_LEN],
		     unsigned int count, uint64_t deadline, struct home_storage *storage,
		     struct heap_attempts *attempts);
int storages_settle(struct home *home);
/* With the lock held: their descriptors are the caller's to close. Those before @generation only.
 */
unsigned int storages_take(struct home *home, uint64_t generation, int fds[HOME_KEPT]);
void storages_close(const int *fds, unsigned int count);

/* office.c: without the lock. Not closed by itself if it fails. */
int office_open(struct office *office);
void office_close(struct office *office);

/* visit.c: in the worker's thread; @fd is the visit's from here on. False: no more for now. */
bool visit_begin(struct office *office, int fd);
/* In any thread: @visit has its descriptor, and is in the office's list of doors. */
int visit_open_door(struct visit *visit);
/* With the lock held; false: somebody else did. */
bool visit_take(struct visit *visit);
/* Without the lock, after it was taken. */
void visit_end(struct visit *visit);

/* job.c: the answer, after which the visitor is of no further use. */
void job_answer(int fd, int result, const struct home_storage *storage,
		const struct heap_attempts *attempts, const char *words);
/* A request that may take a while. The references to @fd and @home go with it. */
void job_begin(struct home *home, int fd, const struct wire_request *request);
/* In a forked child, with the lock held. */
void jobs_forget(void);

/* talk.c: one packet. Nothing here waits, nor has words. */
int talk_send(int fd, const void *message, size_t length, int send_fd);
/* Bytes; 0: the end; -EAGAIN, -EPROTO, ... @take_fd (may be NULL) gets what came with it, or -1. */
int talk_receive(int fd, union wire_message *m, int *take_fd);
/* A Unix socket for packets that is connected, or could be? */
bool talk_is_socket(int fd);
/* Close it for the peer too, should a child of ours have a copy. */
void talk_hang_up(int fd);
/* The address of the office. */
socklen_t talk_address(const uint8_t name[8], struct sockaddr_un *address);

#endif
