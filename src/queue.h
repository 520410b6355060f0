/* SPDX-License-Identifier: MIT */
/* The two ends of a queue, from inside. */
#ifndef DMABUF_SRC_QUEUE_H
#define DMABUF_SRC_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/queue.h>

#include "queue-socket.h"
#include "queue-wire.h"

#define QUEUE_BIT(n) ((uint64_t)1 << (n))
#define QUEUE_MS ((uint64_t)1000000)
#define QUEUE_NO_SLOT 0xffu
/* Sockets whose other side has not said who it is; a further one drops the oldest. */
#define QUEUE_MAX_JOINERS 16

enum queue_buffer_state {
	QUEUE_BUFFER_NONE = 0,
	QUEUE_BUFFER_EMPTY,
	QUEUE_BUFFER_TAKEN,  /* by the producer, to be filled */
	QUEUE_BUFFER_FILLED, /* with consumers */
};

struct queue_buffer {
	struct dma_buf *dmabuf;
	enum queue_buffer_state state;
	uint32_t generation; /* another one when other memory is behind this number */
	bool retired;	     /* somebody who is cut off may still use it: not to be filled again */
	uint64_t users;	     /* bit n: peer n waits for it or has it */
	int acquire_fence;   /* or -1 */
	bool owns_fence;
	struct queue_frame message;
	/* Of a relay: what goes back, and which memory of its consumer this was. */
	struct dmabuf_frame upstream;
	uint64_t serial;
};

enum queue_peer_state {
	QUEUE_PEER_NONE = 0,
	QUEUE_PEER_LIVE,
	QUEUE_PEER_GHOST, /* its socket is closed, but buffers wait for its end, or for its fences
			   */
};

/* A consumer, in its producer. */
struct queue_peer {
	enum queue_peer_state state;
	int fd;
	bool broken;	 /* a send found it gone; what it said before is still to be read */
	bool wants_room; /* its socket was full */
	int receive_ms;	 /* the socket's receive timeout; 0: none set */
	bool first;	 /* it has had no frame yet */
	bool end_sent;
	uint32_t flags;
	uint32_t preferred;
	struct dmabuf_queue_consumer_info info;
	char name[QUEUE_NAME_LEN];
	uint8_t waiting[DMABUF_QUEUE_MAX_BUFFERS]; /* ring of buffers not sent yet */
	uint32_t waiting_first;
	uint32_t waiting_count;
	uint64_t sent;	 /* buffers that it has */
	uint64_t fenced; /* given back, with a fence that has not signalled */
	uint64_t forget; /* buffers that it knows and that are no more */
	uint64_t skipped;
	uint64_t progress; /* clock_ns() when it last gave something back */
	uint64_t deadline; /* of a ghost, clock_ns() */
	uint64_t since[DMABUF_QUEUE_MAX_BUFFERS];
	uint32_t known[DMABUF_QUEUE_MAX_BUFFERS]; /* generation it has, 0: none */
	uint32_t turn[DMABUF_QUEUE_MAX_BUFFERS];
	uint8_t slot[DMABUF_QUEUE_MAX_BUFFERS];
	int fence[DMABUF_QUEUE_MAX_BUFFERS];
};

struct queue_joiner {
	int fd; /* -1: free */
	uint64_t deadline;
	uint64_t order;
};

struct dmabuf_queue {
	struct dmabuf_queue_options options;
	bool relay;
	bool inherited; /* there is somebody to report to */
	uint32_t fixed; /* the pool has so many buffers, no matter who needs how many; 0: it adapts
			 */
	struct dma_buf *given[DMABUF_QUEUE_MAX_BUFFERS]; /* of a fixed pool, or NULL */
	struct dmabuf_queue_consumer *upstream;		 /* of a relay, until that left */
	int epoll;
	int timer; /* -1 until somebody asked for the queue's descriptor */
	uint64_t timer_at;
	uint64_t worked_at; /* when all were looked after, clock_ns(); for event loops */
	int listener;
	char path[QUEUE_PATH_LEN]; /* to be removed in the end; "": none */
	uint64_t path_device;
	uint64_t path_inode;
	uint64_t epoch;
	char label[DMABUF_QUEUE_LABEL_LEN];
	bool finishing;
	bool finished;
	bool must_deliver;  /* without a consumer dmabuf_queue_put() fails */
	bool lost_blocking; /* a consumer that must not miss anything went while finishing */
	uint64_t starving;  /* since when there is no empty buffer, clock_ns(); 0: there is one */
	uint64_t retry;	    /* when to send again what found no memory, clock_ns(); 0: nothing */
	uint32_t buffer_count;
	uint32_t filled; /* of them, those that consumers have */
	uint32_t next_generation;
	uint32_t next_id;
	uint32_t live;
	uint32_t ghosts;
	uint32_t joining;
	uint64_t joiners_seen;
	struct dmabuf_queue_stats stats;
	struct queue_joiner joiners[QUEUE_MAX_JOINERS];
	struct queue_buffer buffers[DMABUF_QUEUE_MAX_BUFFERS];
	struct queue_peer peers[DMABUF_QUEUE_MAX_CONSUMERS];
};

/* What an event of the epoll set is about. */
enum queue_watch {
	QUEUE_WATCH_LISTENER,
	QUEUE_WATCH_JOINER,
	QUEUE_WATCH_PEER,
	QUEUE_WATCH_FENCE,
	QUEUE_WATCH_TIMER
};

/* queue-pool.c */
uint32_t queue_pool_target(const struct dmabuf_queue *q);
/* Can the pool serve one more that needs @min? */
bool queue_pool_fits(const struct dmabuf_queue *q, uint32_t min);
/* Share out what there is beyond everybody's minimum. */
void queue_pool_share(struct dmabuf_queue *q);
/* An empty buffer's number; -EAGAIN if there is none now; errors of the allocation. */
int queue_pool_take(struct dmabuf_queue *q);
/* Peer @n has nothing to do with buffer @index any more. */
void queue_pool_unuse(struct dmabuf_queue *q, unsigned int n, uint32_t index);
void queue_pool_empty(struct dmabuf_queue *q, uint32_t index);
void queue_pool_drop(struct dmabuf_queue *q, uint32_t index);
/* A relay's place for the memory of @frame. -EAGAIN if there is none. */
void queue_pool_unrelay(struct queue_buffer *b);
int queue_pool_relay(struct dmabuf_queue *q, const struct dmabuf_frame *frame, uint64_t serial);

/* queue-peer.c */
void queue_peer_offer(struct dmabuf_queue *q, struct queue_peer *p, uint32_t index);
void queue_peer_flush(struct dmabuf_queue *q, struct queue_peer *p);
/* Up to @most messages: how many there were. The peer may be gone afterwards. */
int queue_peer_receive(struct dmabuf_queue *q, struct queue_peer *p, int most);
/* Sleep for one, up to about @ms, 1 or more. 0, or -EINTR without words. */
int queue_peer_wait(struct dmabuf_queue *q, struct queue_peer *p, int ms);
void queue_peer_fence_done(struct dmabuf_queue *q, struct queue_peer *p, uint32_t index);
static inline unsigned int queue_peer_number(const struct dmabuf_queue *q,
					     const struct queue_peer *p)
{
	return (unsigned int)(p - q->peers);
}

/* queue-gone.c: consumers that go, and what they held. */
void queue_peer_gone(struct dmabuf_queue *q, struct queue_peer *p, enum dmabuf_queue_event how,
		     int err, const char *words);
void queue_ghosts_check(struct dmabuf_queue *q, uint64_t now);
/* Cut off who holds everything up. */
void queue_stalls_check(struct dmabuf_queue *q, uint64_t now);
uint64_t queue_stall_deadline(const struct dmabuf_queue *q);
/* "a (pid 1) holds buffers 0, 3 for 20 ms; ..." */
void queue_holders(const struct dmabuf_queue *q, char *text, size_t room);
uint64_t queue_peer_oldest(const struct queue_peer *p);

/* queue-listen.c */
void queue_accept(struct dmabuf_queue *q);
void queue_joiner_receive(struct dmabuf_queue *q, struct queue_joiner *j);
void queue_joiners_check(struct dmabuf_queue *q, uint64_t now);
void queue_unlisten(struct dmabuf_queue *q);
void queue_tell(struct dmabuf_queue *q, enum dmabuf_queue_event event,
		const struct dmabuf_queue_consumer_info *info, const char *words);

/* queue-watch.c */
/* For event loops: the queue's descriptor becomes readable when the next moment comes. */
void queue_set_timer(struct dmabuf_queue *q);
int queue_watch(struct dmabuf_queue *q, int fd, enum queue_watch what, unsigned int a,
		unsigned int b);
void queue_unwatch(struct dmabuf_queue *q, int fd);
void queue_watch_room(struct dmabuf_queue *q, struct queue_peer *p, bool wanted);
/* Up to when may one sleep, of @ms? */
int queue_until(const struct dmabuf_queue *q, int ms);
/* Wait up to @ms for something to do, and do it: 0, or -EINTR without words. */
int queue_work(struct dmabuf_queue *q, int ms);

/* queue-producer.c */
int queue_check_options(struct dmabuf_queue_options *o, const struct dmabuf_queue_options *from,
			bool relay);
struct dmabuf_queue *queue_new(const struct dmabuf_queue_options *o);

/* Memory that a consumer got, and the frame in it, if it holds one. */
struct consumer_buffer {
	struct dma_buf *dmabuf;
	uint64_t serial; /* counts memory that arrived; never used again */
	uint32_t turn;	 /* how often it was given back */
	int acquire_fence;
	int release_fence; /* not sent yet */
	bool passed;	   /* put into the relay, which gives it back */
	bool forgotten;	   /* the producer has it no more */
	/* Of a frame that outlived its connection: what it was there. */
	uint32_t connection;
	uint32_t index;
};

struct dmabuf_queue_consumer {
	struct dmabuf_queue_consumer_options options;
	char label[DMABUF_QUEUE_LABEL_LEN];
	char path[QUEUE_PATH_LEN]; /* "": joined on a socket */
	struct sockaddr_un address;
	socklen_t address_length;
	int fd; /* -1: not connected */
	int epoll;
	int timer;
	bool inherited;
	bool welcome; /* we were let in */
	bool ended;
	int failed; /* negative errno that each further take returns */
	char name[QUEUE_NAME_LEN];
	uint32_t connection;
	uint64_t epoch;
	uint64_t retry_until; /* clock_ns(); 0: not connecting again */
	uint64_t dial_at;     /* clock_ns() of the next try */
	uint32_t pool;	      /* the producer's, as it said; 1: unknown, or not to be counted on */
	uint64_t told_at;     /* when it last heard of a release, clock_ns() */
	uint32_t since_work;  /* frames since the relay's work was done */
	int receive_ms;	      /* the socket's receive timeout; -1: none set */
	uint64_t held;
	uint64_t returns; /* released, and the producer does not know */
	uint64_t returns_retired;
	uint32_t fenced_returns; /* of them, with a fence */
	uint64_t serials;
	struct dmabuf_queue *relay;
	bool was_relayed; /* whether that ended well is the relay's to say */
	struct dmabuf_queue_stats stats;
	uint32_t orphan_count;
	struct consumer_buffer buffers[DMABUF_QUEUE_MAX_BUFFERS];
	struct consumer_buffer orphans[DMABUF_QUEUE_MAX_BUFFERS];
};

/* consumer: queue-connect.c */
/* A producer that is not there, or has no time, is tried again so often. */
#define CONSUMER_DIAL_NS (10 * QUEUE_MS)
/* Until @deadline of clock_ms(): 0; -ETIMEDOUT, -EINTR; others with words: it is of no use. */
/* Wake who polls the consumer's descriptor for @fd too. 0 or a negative errno, no words. */
int consumer_watch(const struct dmabuf_queue_consumer *c, int fd);
int consumer_reconnect(struct dmabuf_queue_consumer *c, uint64_t deadline);
void consumer_disconnect(struct dmabuf_queue_consumer *c);
int consumer_welcome(struct dmabuf_queue_consumer *c, const struct queue_packet *p);
int consumer_words(const struct dmabuf_queue_consumer *c, const struct queue_packet *p);

/* queue-release.c */
/* The buffer of a frame that is held and was not passed on, or NULL. */
struct consumer_buffer *consumer_find(struct dmabuf_queue_consumer *c,
				      const struct dmabuf_frame *frame);
/* @retired: somebody may go on using its memory. The frame must be held, passed on or not. */
void consumer_release(struct dmabuf_queue_consumer *c, const struct dmabuf_frame *frame,
		      bool retired);
/* So many releases are told together at most. */
uint32_t consumer_batch(const struct dmabuf_queue_consumer *c);
/* Tell the producer what was released so far. */
void consumer_flush(struct dmabuf_queue_consumer *c);

#endif
