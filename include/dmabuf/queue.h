/* SPDX-License-Identifier: MIT */
/**
 * DOC: queue
 *
 * Hands filled buffers from one process to one or many (mission row E6). Each buffer goes to each
 * consumer once; from then on a frame is a message of a few bytes over a Unix packet socket, and no
 * payload is copied.
 *
 * A producer:
 *
 *	struct dmabuf_queue_options options = { .size = sizeof(options), .buffer_size = 3110400 };
 *	struct dmabuf_queue *queue = dmabuf_queue_create(&options);
 *	struct dmabuf_frame frame;
 *
 *	dmabuf_queue_listen(queue, "/run/camera.sock");
 *	while (dmabuf_queue_get(queue, &frame, 1000) == 0) {
 *		... fill frame.dmabuf, set frame.used, .fourcc, .planes, .sequence ...
 *		dmabuf_queue_put(queue, &frame);
 *	}
 *	dmabuf_queue_finish(queue, 1000);
 *	dmabuf_queue_destroy(queue);
 *
 * A consumer:
 *
 *	struct dmabuf_queue_consumer *consumer = dmabuf_queue_connect("/run/camera.sock", NULL,
 *1000);
 *
 *	while (dmabuf_queue_take(consumer, &frame, 1000) == 1) {
 *		dmabuf_queue_wait_fence(&frame, 1000);
 *		... look at frame.dmabuf ...
 *		dmabuf_queue_release(consumer, &frame);
 *	}
 *	dmabuf_queue_leave(consumer);
 *
 * A buffer is filled again only when every consumer that got it gave it back, or is gone. Gone
 * means for one that may write: no thread of it is left, not even inside the kernel. The buffers
 * that a consumer holds which is cut off but may still live are replaced by new memory: it keeps
 * the old.
 *
 * A producer does its work inside the calls made on it: there is no thread behind. What consumers
 * send is taken by dmabuf_queue_get() (when it listens, or finds no empty buffer) and
 * dmabuf_queue_dispatch(). dmabuf_queue_fd() says when there is something to do; who asked for it
 * dispatches, so that dmabuf_queue_get() need not look each time.
 *
 * One thread at a time may use a producer, and one a consumer; a relay and the consumer that it
 * takes from count as one. None of this is async-signal-safe. After fork() only the parent may go
 * on using them.
 */
#ifndef DMABUF_QUEUE_H
#define DMABUF_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMABUF_QUEUE_MAX_BUFFERS - buffers of a queue at most */
#define DMABUF_QUEUE_MAX_BUFFERS 64
/** DMABUF_QUEUE_MAX_CONSUMERS - consumers of a queue at most (a buffer has 64 holders at most) */
#define DMABUF_QUEUE_MAX_CONSUMERS 60
/** DMABUF_QUEUE_LABEL_LEN - bytes of a peer's label with its NUL */
#define DMABUF_QUEUE_LABEL_LEN 32
/** DMABUF_FRAME_MAX_PLANES - planes of a picture at most */
#define DMABUF_FRAME_MAX_PLANES 4

/**
 * DMABUF_QUEUE_ENV - the environment variable that names a program's sockets
 *
 * Set by `dmabuf pipe`, `dmabuf cast` and `dmabuf catch` for their exec: elements, read by
 * dmabuf_queue_open_input() and dmabuf_queue_open_output(): "1:CONTROL:IN:OUT", three descriptor
 * numbers or -1. They become close-on-exec when they are taken.
 */
#define DMABUF_QUEUE_ENV "DMABUF_QUEUE"

struct dmabuf_queue;
struct dmabuf_queue_consumer;

/**
 * struct dmabuf_frame_plane - where a plane of a picture lies in the buffer
 * @offset: of its first line, bytes
 * @stride: from line to line, bytes
 */
struct dmabuf_frame_plane {
	uint32_t offset;
	uint32_t stride;
};

/** DMABUF_FRAME_FIRST - the first frame of a connection: what was before is another stream */
#define DMABUF_FRAME_FIRST 0x1u
/** DMABUF_FRAME_GAP - frames before this one were dropped for this consumer */
#define DMABUF_FRAME_GAP 0x2u
/** DMABUF_FRAME_USER - this bit and those above are the producer's own and go through unchanged */
#define DMABUF_FRAME_USER 0x10000u

/**
 * struct dmabuf_frame - a buffer on its way through a queue
 * @dmabuf: the buffer; the queue's, valid until the frame is put or released
 * @index: the buffer's number, below DMABUF_QUEUE_MAX_BUFFERS
 * @flags: DMABUF_FRAME_FIRST and so on
 * @fourcc: pixel format as V4L2 and DRM write it (NV12: 0x3231564e), 0 for plain bytes
 * @width: pixels, 0 for plain bytes
 * @height: lines, 0 for plain bytes
 * @plane_count: of @planes, 0 for plain bytes
 * @planes: where they are
 * @modifier: DRM's format modifier, 0: linear
 * @used: bytes filled, at most the buffer's size
 * @sequence: counts frames, by the producer
 * @timestamp: nanoseconds of CLOCK_MONOTONIC when the frame was made
 * @epoch: of the producer: another one after it was started again. Set by the library
 * @acquire_fence: -1, or a descriptor that polls readable once the content is there; see
 *	dmabuf_queue_wait_fence(). dmabuf_queue_put() takes it over, a consumer's is the library's
 * @release_fence: -1, or a descriptor that polls readable once the consumer's work on the buffer
 *	is done; dmabuf_queue_release() takes it over
 * @dropped: frames dropped for this consumer between the last one it got and this one
 * @connection: the library's own
 *
 * dmabuf_queue_get() and dmabuf_queue_take() fill all of it in.
 */
struct dmabuf_frame {
	struct dma_buf *dmabuf;
	uint32_t index;
	uint32_t flags;
	uint32_t fourcc;
	uint32_t width;
	uint32_t height;
	uint32_t plane_count;
	struct dmabuf_frame_plane planes[DMABUF_FRAME_MAX_PLANES];
	uint64_t modifier;
	uint64_t used;
	uint64_t sequence;
	uint64_t timestamp;
	uint64_t epoch;
	int acquire_fence;
	int release_fence;
	uint64_t dropped;
	uint32_t connection;
	uint32_t reserved;
};

/**
 * enum dmabuf_queue_policy - what happens to a frame that a consumer has no room for
 * @DMABUF_QUEUE_DROP_OLDEST: it waits in the place of the one that waited: the consumer always gets
 *	the newest. What viewers want (GStreamer's leaky=downstream), and the default
 * @DMABUF_QUEUE_DROP_NEWEST: it is dropped; frames that wait stay, in runs without gaps
 * @DMABUF_QUEUE_BLOCK: nothing is dropped; the producer finds no empty buffer until this consumer
 *	gives one back, or has not for dmabuf_queue_options.stall_ms
 */
enum dmabuf_queue_policy {
	DMABUF_QUEUE_DROP_OLDEST = 0,
	DMABUF_QUEUE_DROP_NEWEST = 1,
	DMABUF_QUEUE_BLOCK = 2,
};

/**
 * struct dmabuf_queue_consumer_info - a consumer as its producer sees it
 * @id: counts consumers from 1
 * @pid: process id when it connected, for people only
 * @uid: of that process
 * @label: what it calls itself
 * @policy: as it asked
 * @writes: it may write into buffers
 * @min: buffers that it cannot do without
 * @granted: buffers that it may have at a time
 * @held: buffers that it has now, those that wait for its fence too
 * @waiting: frames that wait for it
 * @oldest_ns: for how long it has had the one that it has longest, nanoseconds; 0: none
 * @frames: frames sent to it
 * @dropped: frames dropped for it
 * @latency_ns: as it reports: from timestamp to receipt, all frames together
 * @latency_max_ns: as it reports: the worst
 * @waits: as it reports: times that it slept for a frame
 */
struct dmabuf_queue_consumer_info {
	uint32_t id;
	int32_t pid;
	uint32_t uid;
	char label[DMABUF_QUEUE_LABEL_LEN];
	enum dmabuf_queue_policy policy;
	uint32_t writes;
	uint32_t min;
	uint32_t granted;
	uint32_t held;
	uint32_t waiting;
	uint64_t oldest_ns;
	uint64_t frames;
	uint64_t dropped;
	uint64_t latency_ns;
	uint64_t latency_max_ns;
	uint64_t waits;
};

/**
 * enum dmabuf_queue_event - what befell a consumer
 * @DMABUF_QUEUE_JOINED: it gets frames from now on
 * @DMABUF_QUEUE_LEFT: it left in order
 * @DMABUF_QUEUE_DIED: it was gone without a word
 * @DMABUF_QUEUE_CUT_OFF: the queue got rid of it
 * @DMABUF_QUEUE_REFUSED: it was not let in; info has what is known of it
 */
enum dmabuf_queue_event {
	DMABUF_QUEUE_JOINED = 0,
	DMABUF_QUEUE_LEFT = 1,
	DMABUF_QUEUE_DIED = 2,
	DMABUF_QUEUE_CUT_OFF = 3,
	DMABUF_QUEUE_REFUSED = 4,
};

/**
 * struct dmabuf_queue_options - how a producer is to work
 * @size: sizeof(struct dmabuf_queue_options)
 * @buffer_size: bytes of each buffer
 * @buffer_flags: O_RDWR; O_RDONLY: consumers can only read. 0 is taken as O_RDWR
 * @min_buffers: what the producer itself cannot do without, 1 to 64; 0: 2
 * @max_buffers: the pool's limit, 1 to 64; 0: 64
 * @max_consumers: 1 to 60; 0: 32
 * @stall_ms: cut off a consumer that holds everything up for so long; 0: 5000; negative: never
 * @allocate: [optional] makes a buffer of at least @buffer_size bytes (a reference goes to the
 *	queue), or NULL with errno; else dma_buf_alloc() is used
 * @event: [optional] called when a consumer comes or goes, from inside a call on the queue; it must
 *	not call the queue. @words are one line about it
 * @data: for both
 */
struct dmabuf_queue_options {
	size_t size;
	uint64_t buffer_size;
	int buffer_flags;
	uint32_t min_buffers;
	uint32_t max_buffers;
	uint32_t max_consumers;
	int32_t stall_ms;
	uint32_t reserved;
	struct dma_buf *(*allocate)(void *data, const char *name, uint64_t buffer_size);
	void (*event)(void *data, enum dmabuf_queue_event event,
		      const struct dmabuf_queue_consumer_info *consumer, const char *words);
	void *data;
};

/** DMABUF_QUEUE_WRITES - the consumer changes what is in the buffers, by CPU */
#define DMABUF_QUEUE_WRITES 0x1u
/** DMABUF_QUEUE_DMA_WRITES - it has devices write into them, which outlives a killed process */
#define DMABUF_QUEUE_DMA_WRITES 0x2u

/**
 * struct dmabuf_queue_consumer_options - how a consumer is to be served
 * @size: sizeof(struct dmabuf_queue_consumer_options)
 * @label: [optional] 1 to 31 bytes; NULL: dmabuf_set_label(), else the program's name
 * @policy: what happens when it is too slow
 * @flags: DMABUF_QUEUE_WRITES, DMABUF_QUEUE_DMA_WRITES
 * @min_buffers: buffers that it must be able to have at a time, 1 to 64; 0: 1 (2 if it drops the
 *	oldest, of which one may wait)
 * @preferred_buffers: what is better, at least @min_buffers; 0: 3
 * @reconnect_ms: after the producer is gone without an end of stream, try for so long to connect
 *	again; 0: do not
 */
struct dmabuf_queue_consumer_options {
	size_t size;
	const char *label;
	enum dmabuf_queue_policy policy;
	uint32_t flags;
	uint32_t min_buffers;
	uint32_t preferred_buffers;
	uint32_t reconnect_ms;
	uint32_t reserved;
};

/**
 * struct dmabuf_queue_stats - what went through one end of a queue
 * @frames: put or taken
 * @bytes: used bytes in them
 * @dropped: consumer: frames dropped for it; producer: frames that somebody missed
 * @waits: times that it had to sleep
 * @wait_ns: for how long in all
 * @latency_ns: consumer: from timestamp to receipt, all frames together
 * @latency_max_ns: the worst of them
 * @connects: consumer: connections made; producer: consumers that joined
 */
struct dmabuf_queue_stats {
	uint64_t frames;
	uint64_t bytes;
	uint64_t dropped;
	uint64_t waits;
	uint64_t wait_ns;
	uint64_t latency_ns;
	uint64_t latency_max_ns;
	uint64_t connects;
};

#ifndef DMABUF_DISABLED
/**
 * dmabuf_queue_create - a producer
 * @options: with size and buffer_size at least
 *
 * Buffers are made when they are needed: as many as the producer and all its consumers together
 * need, max_buffers at most.
 *
 * Return: the producer; NULL with errno EINVAL, EMFILE, ENFILE, ENOMEM. Never blocks.
 */
struct dmabuf_queue *dmabuf_queue_create(const struct dmabuf_queue_options *options);

/**
 * dmabuf_queue_create_relay - a producer that hands on what a consumer takes, without copying
 * @consumer: frames put into the relay are those that it took
 * @options: [optional] as for dmabuf_queue_create(); those about buffers are ignored
 *
 * A frame goes back to where @consumer got it once all consumers of the relay gave it back.
 * dmabuf_queue_take() on @consumer does the relay's work too. Destroy the relay before @consumer
 * leaves.
 *
 * Return: the producer; NULL with errno EINVAL, EBUSY (@consumer has one), EMFILE, ENFILE, ENOMEM.
 * Never blocks.
 */
struct dmabuf_queue *dmabuf_queue_create_relay(struct dmabuf_queue_consumer *consumer,
					       const struct dmabuf_queue_options *options);

/**
 * dmabuf_queue_listen - let consumers come
 * @queue: the producer
 * @path: of a Unix socket, up to 107 bytes; "@name" is an abstract name
 *
 * What a dead producer left at @path is replaced. Whoever may connect to the socket may join;
 * permissions are those that the umask leaves. One path for each producer.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG, -EADDRINUSE (somebody listens there: named), -EEXIST (it is
 * no socket), -EBUSY (listens already), -EACCES and what else bind() gives. Never blocks.
 */
int dmabuf_queue_listen(struct dmabuf_queue *queue, const char *path);

/**
 * dmabuf_queue_add - a socket to a consumer, or on which consumers come
 * @queue: the producer
 * @socket: AF_UNIX, SOCK_SEQPACKET; connected or listening. Taken over on success
 *
 * Return: 0; -EINVAL, -EBUSY (listens already), -EUSERS (too many consumers), -ENOMEM. Never
 * blocks.
 */
int dmabuf_queue_add(struct dmabuf_queue *queue, int socket);

/**
 * dmabuf_queue_wait_consumers - wait until consumers are there
 * @queue: the producer
 * @count: how many, 1 to 60
 * @timeout_ms: how long, 0 or more
 *
 * Return: 0; -ETIMEDOUT, -EINTR, -EINVAL. Blocks up to @timeout_ms.
 */
int dmabuf_queue_wait_consumers(struct dmabuf_queue *queue, unsigned int count, int timeout_ms);

/**
 * dmabuf_queue_get - an empty buffer
 * @queue: the producer, no relay
 * @frame: filled in: the buffer, nothing used
 * @timeout_ms: how long to wait for one, 0 or more
 *
 * The buffer is the caller's until dmabuf_queue_put() or dmabuf_queue_cancel(); what is in it is
 * anything. Several may be held.
 *
 * Return: 0; -ETIMEDOUT (the words name the consumers that hold buffers, and for how long), -EINTR,
 * -EINVAL, and those of dma_buf_alloc(). Blocks up to @timeout_ms.
 */
int dmabuf_queue_get(struct dmabuf_queue *queue, struct dmabuf_frame *frame, int timeout_ms);

/**
 * dmabuf_queue_put - hand a filled buffer to all consumers
 * @queue: the producer
 * @frame: from dmabuf_queue_get(), or for a relay from dmabuf_queue_take() on its consumer
 *
 * Everything in it but dmabuf and index is the caller's to set. Descriptors of fences are taken
 * over on success. Without a consumer the frame is dropped.
 *
 * Return: 0; -EINVAL (not a frame that is held, more used than there is, planes beyond the buffer,
 * after dmabuf_queue_finish()); -EPIPE (of dmabuf_queue_open_output() only: the element that
 * follows is gone, and the frame with it). Never blocks.
 */
int dmabuf_queue_put(struct dmabuf_queue *queue, const struct dmabuf_frame *frame);

/**
 * dmabuf_queue_cancel - give an empty buffer back unfilled
 * @queue: the producer, no relay
 * @frame: from dmabuf_queue_get()
 *
 * Return: 0; -EINVAL. Never blocks.
 */
int dmabuf_queue_cancel(struct dmabuf_queue *queue, const struct dmabuf_frame *frame);

/**
 * dmabuf_queue_finish - end the stream
 * @queue: the producer
 * @timeout_ms: how long consumers may take to make room for what waits for them, 0 or more
 *
 * Nobody can join any more. A second call does nothing.
 *
 * Return: 0; -ETIMEDOUT (some consumer did not get all of it: named), -EPIPE (a consumer that must
 * not miss anything is gone), -EINVAL. Blocks up to @timeout_ms.
 */
int dmabuf_queue_finish(struct dmabuf_queue *queue, int timeout_ms);

/**
 * dmabuf_queue_dispatch - do what there is to do
 * @queue: the producer
 *
 * Lets consumers in, takes back buffers, hands out frames that waited, notices who is gone.
 *
 * Return: 0; -EINVAL. Never blocks.
 */
int dmabuf_queue_dispatch(struct dmabuf_queue *queue);

/**
 * dmabuf_queue_fd - a descriptor for the caller's event loop
 * @queue: the producer
 *
 * Readable when dmabuf_queue_dispatch() has something to do. It stays the queue's.
 *
 * Return: the descriptor; -EINVAL, -EMFILE, -ENFILE. Never blocks.
 */
int dmabuf_queue_fd(struct dmabuf_queue *queue);

/**
 * dmabuf_queue_get_consumers - who takes part
 * @queue: the producer
 * @infos: room for @count, or NULL
 * @count: of @infos
 *
 * Return: how many there are, whether they had room or not; -EINVAL. Never blocks.
 */
int dmabuf_queue_get_consumers(struct dmabuf_queue *queue, struct dmabuf_queue_consumer_info *infos,
			       unsigned int count);

/**
 * dmabuf_queue_get_stats - what went through a producer so far
 * @queue: the producer
 * @stats: filled in
 *
 * Return: 0; -EINVAL. Never blocks.
 */
int dmabuf_queue_get_stats(const struct dmabuf_queue *queue, struct dmabuf_queue_stats *stats);

/**
 * dmabuf_queue_destroy - end a producer, its buffers and its path
 * @queue: the producer; NULL is ignored
 *
 * Without dmabuf_queue_finish() consumers see that it ended without an end of stream.
 */
void dmabuf_queue_destroy(struct dmabuf_queue *queue);

/**
 * dmabuf_queue_connect - join a producer
 * @path: where it listens; "@name" is an abstract name
 * @options: [optional] how to be served
 * @timeout_ms: how long to wait for it to be there and to let us in, 0 or more
 *
 * The first frame is the next one that is put.
 *
 * Return: the consumer; NULL with errno EINVAL, ENAMETOOLONG, ETIMEDOUT (nobody listens there, or
 * does not answer: the words say which), EPIPE, EPROTO, EACCES, ENOMEM, and of a producer that
 * refuses: EUSERS (too many consumers), ENOSPC (its pool cannot be as large as all need). Blocks up
 * to @timeout_ms.
 */
struct dmabuf_queue_consumer *
dmabuf_queue_connect(const char *path, const struct dmabuf_queue_consumer_options *options,
		     int timeout_ms);

/**
 * dmabuf_queue_join - the same on a connected socket
 * @socket: AF_UNIX, SOCK_SEQPACKET; taken over on success
 * @options: [optional] reconnect_ms must be 0
 * @timeout_ms: how long to wait to be let in
 *
 * Return: as dmabuf_queue_connect(). Blocks up to @timeout_ms.
 */
struct dmabuf_queue_consumer *
dmabuf_queue_join(int socket, const struct dmabuf_queue_consumer_options *options, int timeout_ms);

/**
 * dmabuf_queue_take - the next frame
 * @consumer: the consumer
 * @frame: filled in
 * @timeout_ms: how long to wait for it, 0 or more
 *
 * The frame is the caller's until dmabuf_queue_release(), or dmabuf_queue_put() into a relay;
 * several may be held. Its acquire fence has not been waited for: see dmabuf_queue_wait_fence().
 *
 * Return: 1 with a frame; 0 at the end of the stream, and again at each later call; -ETIMEDOUT;
 * -EPIPE (the producer is gone without an end of stream), -ECONNABORTED (it cut us off: the words
 * say why), -EPROTO (what it sent makes no sense), -EINTR, -EINVAL. With reconnect_ms set, those of
 * a lost connection come only when it could not be had again. Blocks up to @timeout_ms.
 */
int dmabuf_queue_take(struct dmabuf_queue_consumer *consumer, struct dmabuf_frame *frame,
		      int timeout_ms);

/**
 * dmabuf_queue_wait_fence - wait until a frame's content is there
 * @frame: from dmabuf_queue_take()
 * @timeout_ms: how long, 0 or more
 *
 * Return: 0, at once if there is no fence; -ETIMEDOUT, -EINTR, -EINVAL. Blocks up to @timeout_ms.
 */
int dmabuf_queue_wait_fence(const struct dmabuf_frame *frame, int timeout_ms);

/**
 * dmabuf_queue_release - give a frame back
 * @consumer: the consumer
 * @frame: from dmabuf_queue_take(); with release_fence set if work on it is still under way
 *
 * The producer may learn of it somewhat later: some are told together, at the latest when this
 * consumer sleeps for the next frame.
 *
 * Return: 0, also if the producer is gone meanwhile; -EINVAL (not a frame that is held). Never
 * blocks.
 */
int dmabuf_queue_release(struct dmabuf_queue_consumer *consumer, const struct dmabuf_frame *frame);

/**
 * dmabuf_queue_consumer_fd - a descriptor for the caller's event loop
 * @consumer: the consumer
 *
 * Readable when dmabuf_queue_take() with a timeout of 0 has something to do. It stays the queue's.
 * Tells the producer of all frames released so far, as does each dmabuf_queue_take() that finds
 * none.
 *
 * Return: the descriptor; -EINVAL, -EMFILE, -ENFILE. Never blocks.
 */
int dmabuf_queue_consumer_fd(struct dmabuf_queue_consumer *consumer);

/**
 * dmabuf_queue_consumer_get_stats - what went through a consumer so far
 * @consumer: the consumer
 * @stats: filled in
 *
 * Return: 0; -EINVAL. Never blocks.
 */
int dmabuf_queue_consumer_get_stats(const struct dmabuf_queue_consumer *consumer,
				    struct dmabuf_queue_stats *stats);

/**
 * dmabuf_queue_open_input - the frames that who started this program meant it to take
 * @options: [optional] only flags counts, the rest is the runner's to say; NULL: it writes
 * @timeout_ms: how long to wait to be let in, 0 or more
 *
 * For exec: elements of `dmabuf pipe` and `dmabuf catch`; once in a process. An element that
 * changes bytes in place is this whole program, errors apart (examples/invert.c has them):
 *
 *	struct dmabuf_queue_consumer *in = dmabuf_queue_open_input(NULL, 10000);
 *	struct dmabuf_queue *out = dmabuf_queue_open_output(in, NULL, 10000);
 *	struct dmabuf_frame frame;
 *
 *	while (dmabuf_queue_take(in, &frame, 60000) == 1) {
 *		... change what is in frame.dmabuf ...
 *		dmabuf_queue_put(out, &frame);
 *	}
 *	dmabuf_queue_finish(out, 10000);
 *	dmabuf_queue_destroy(out);
 *	dmabuf_queue_leave(in);
 *
 * Return: the consumer; NULL with errno ENOENT (DMABUF_QUEUE_ENV is not set, or this program is the
 * source), EINVAL (it makes no sense), EBUSY (opened before), ETIMEDOUT, EPIPE (who started us is
 * gone), EPROTO, ENOMEM, and those of dmabuf_queue_join(). Blocks up to @timeout_ms.
 */
struct dmabuf_queue_consumer *
dmabuf_queue_open_input(const struct dmabuf_queue_consumer_options *options, int timeout_ms);

/**
 * dmabuf_queue_open_output - where who started this program meant its frames to go
 * @input: from dmabuf_queue_open_input(): frames are handed on; NULL: this program makes them
 * @options: [optional] without a buffer_size the runner's choice of buffers is taken
 * @timeout_ms: how long to wait for the element that follows, 0 or more
 *
 * For exec: elements of `dmabuf pipe` and `dmabuf cast`; once in a process. With an element that
 * follows nothing can get lost: dmabuf_queue_put() fails with EPIPE when it is gone.
 *
 * Return: the producer; NULL with errno as dmabuf_queue_open_input(), and those of
 * dmabuf_queue_create() and dmabuf_queue_listen(). Blocks up to @timeout_ms; in `dmabuf cast
 * --wait` until the consumers are there.
 */
struct dmabuf_queue *dmabuf_queue_open_output(struct dmabuf_queue_consumer *input,
					      const struct dmabuf_queue_options *options,
					      int timeout_ms);

/**
 * dmabuf_queue_tell - tell who started this program something
 * @key: 1 to 31 bytes of printable text; "error" is why this element gives up
 * @value: up to 511 bytes of printable text
 *
 * Shown with the result of `dmabuf pipe`, `cast` or `catch`, a later value for a key in the place
 * of an earlier one.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG; -ENOTCONN (nobody started us, or no end of a queue is open),
 * -EPIPE (he is gone); -EAGAIN (he has not listened for 10 s). Blocks only while he is not
 * listening.
 */
int dmabuf_queue_tell(const char *key, const char *value);

/**
 * dmabuf_queue_leave - end a consumer; frames that it holds go back
 * @consumer: the consumer; NULL is ignored
 */
void dmabuf_queue_leave(struct dmabuf_queue_consumer *consumer);
#else
#include <dmabuf/stubs/queue.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
