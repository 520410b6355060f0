// SPDX-License-Identifier: MIT
/* Consumers that come: who may, and under what conditions. */
#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "queue-report.h"
#include "text.h"

/* Who has connected says who it is within this time. */
#define JOIN_NS (2000 * QUEUE_MS)
#define BACKLOG 16
/* Connections taken at a time, so that a flood does not keep the producer from its work. */
#define ACCEPTS 16

void queue_tell(struct dmabuf_queue *q, enum dmabuf_queue_event event,
		const struct dmabuf_queue_consumer_info *info, const char *words)
{
	bool good = event == DMABUF_QUEUE_JOINED || event == DMABUF_QUEUE_LEFT;

	dmabuf_log(good ? DMABUF_LOG_INFO : DMABUF_LOG_WARNING, "queue: %s", words);
	if (q->inherited && !q->must_deliver)
		report_consumer(event, info, words);
	if (q->options.event)
		q->options.event(q->options.data, event, info, words);
}

static struct queue_joiner *free_joiner(struct dmabuf_queue *q)
{
	struct queue_joiner *oldest = &q->joiners[0];

	for (struct queue_joiner *j = q->joiners; j < q->joiners + QUEUE_MAX_JOINERS; j++) {
		if (j->fd < 0)
			return j;
		if (j->order < oldest->order)
			oldest = j;
	}
	return oldest;
}

static void drop_joiner(struct dmabuf_queue *q, struct queue_joiner *j)
{
	if (j->fd < 0)
		return;
	queue_unwatch(q, j->fd);
	queue_hang_up(j->fd);
	j->fd = -1;
	q->joining--;
}

/* The socket is the queue's from here on. */
static int add_joiner(struct dmabuf_queue *q, int fd)
{
	struct queue_joiner *j = free_joiner(q);
	int err;

	drop_joiner(q, j);
	err = queue_watch(q, fd, QUEUE_WATCH_JOINER, (unsigned int)(j - q->joiners), 0);
	if (err < 0)
		return dmabuf_fail(-err, "a consumer's socket cannot be watched: %s",
				   strerror(-err));
	j->fd = fd;
	j->deadline = clock_ns() + JOIN_NS;
	j->order = ++q->joiners_seen;
	q->joining++;
	return 0;
}

void queue_accept(struct dmabuf_queue *q)
{
	int fd;

	for (int i = 0; i < ACCEPTS && q->listener >= 0; i++) {
		fd = accept4(q->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (add_joiner(q, fd) < 0)
			close(fd);
	}
}

void queue_joiners_check(struct dmabuf_queue *q, uint64_t now)
{
	for (struct queue_joiner *j = q->joiners; j < q->joiners + QUEUE_MAX_JOINERS; j++)
		if (j->fd >= 0 && now >= j->deadline)
			drop_joiner(q, j);
}

static void refuse(struct dmabuf_queue *q, struct queue_joiner *j, struct queue_peer *p, int err,
		   const char *why)
{
	struct queue_words m = { .head = queue_head(QUEUE_REFUSED), .err = err };
	char words[QUEUE_WORDS_LEN];

	snprintf(words, sizeof(words), "%s is refused: %s", p->name, why);
	text_copy(m.words, sizeof(m.words), words);
	queue_tell(q, DMABUF_QUEUE_REFUSED, &p->info, words);
	(void)queue_send(j->fd, &m, sizeof(m), NULL, 0);
	drop_joiner(q, j);
}

static const char *check_join(const struct queue_packet *packet)
{
	const struct queue_join *m = &packet->m.join;

	if (m->head.type != QUEUE_JOIN || packet->length != sizeof(*m) || packet->fd_count)
		return "its first message does not say who it is";
	if (m->policy > DMABUF_QUEUE_BLOCK ||
	    m->flags & ~(DMABUF_QUEUE_WRITES | DMABUF_QUEUE_DMA_WRITES))
		return "it asks for what this library does not know";
	if (!m->min || m->min > DMABUF_QUEUE_MAX_BUFFERS || m->preferred < m->min ||
	    m->preferred > DMABUF_QUEUE_MAX_BUFFERS ||
	    (m->policy == DMABUF_QUEUE_DROP_OLDEST && m->min < 2))
		return "the numbers of buffers that it needs make no sense";
	return NULL;
}

static void describe(struct queue_peer *p, const struct queue_join *m, int fd)
{
	struct ucred peer = queue_peer_of(fd);

	p->flags = m->flags;
	p->preferred = m->preferred;
	p->info.pid = peer.pid;
	p->info.uid = peer.uid;
	p->info.policy = (enum dmabuf_queue_policy)m->policy;
	p->info.writes = !!(m->flags & (DMABUF_QUEUE_WRITES | DMABUF_QUEUE_DMA_WRITES));
	p->info.min = m->min;
	text_copy_untrusted(p->info.label, sizeof(p->info.label), m->label, sizeof(m->label));
	queue_peer_name(p->name, p->info.label, &peer);
}

/* Room for one more, or words that say why there is none. */
static struct queue_peer *find_room(struct dmabuf_queue *q, uint32_t min, int *err, char *why,
				    size_t room)
{
	struct queue_peer *p = q->peers;

	*err = EUSERS;
	snprintf(why, room, "there are %u consumers already", q->live);
	if (q->live >= q->options.max_consumers)
		return NULL;
	while (p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS && p->state != QUEUE_PEER_NONE)
		p++;
	if (p == q->peers + DMABUF_QUEUE_MAX_CONSUMERS)
		return NULL;
	*err = ENOSPC;
	snprintf(why, room,
		 "it needs %u buffers, and of the pool's limit of %u the producer and %u other "
		 "consumers need the rest",
		 min, q->options.max_buffers, q->live);
	return queue_pool_fits(q, min) ? p : NULL;
}

/* Of a relay, what its own consumer leaves unused for a while must be little. */
static uint32_t pool_shown(const struct dmabuf_queue *q)
{
	uint32_t batch = q->upstream ? consumer_batch(q->upstream) : 0;

	if (!q->upstream)
		return queue_pool_target(q);
	return batch > 1 ? batch * 4 : 1;
}

static int welcome(struct dmabuf_queue *q, struct queue_peer *p)
{
	struct queue_welcome m = {
		.head = queue_head(QUEUE_WELCOME),
		.granted = p->info.granted,
		.pool = pool_shown(q),
		.epoch = q->epoch,
	};

	memcpy(m.label, q->label, sizeof(m.label));
	return queue_send(p->fd, &m, sizeof(m), NULL, 0);
}

static void become_peer(struct dmabuf_queue *q, struct queue_joiner *j, struct queue_peer *p,
			const struct queue_peer *from)
{
	struct ucred peer = queue_peer_of(j->fd);
	char words[QUEUE_WORDS_LEN];

	*p = *from;
	queue_peer_name(p->name, p->info.label, &peer);
	p->state = QUEUE_PEER_LIVE;
	p->fd = j->fd;
	p->first = true;
	p->info.id = ++q->next_id;
	p->info.granted = p->info.min;
	p->progress = clock_ns();
	memset(p->slot, QUEUE_NO_SLOT, sizeof(p->slot));
	j->fd = -1;
	q->joining--;
	q->live++;
	q->stats.connects++;
	queue_pool_share(q);
	/* The socket stays in the set and means something else. */
	queue_watch_room(q, p, false);
	snprintf(words, sizeof(words), "%s joined", p->name);
	queue_tell(q, DMABUF_QUEUE_JOINED, &p->info, words);
	if (welcome(q, p) < 0)
		p->broken = true;
}

void queue_joiner_receive(struct dmabuf_queue *q, struct queue_joiner *j)
{
	struct queue_peer newcomer = { .fd = -1 }, *p;
	struct queue_packet packet;
	const char *wrong;
	char why[160];
	int got, err;

	describe(&newcomer, &(struct queue_join){ .label = "?" }, j->fd);
	got = queue_recv(j->fd, &packet, false, newcomer.name);
	if (got == -EAGAIN)
		return;
	if (got == 0) {
		drop_joiner(q, j);
		return;
	}
	wrong = got < 0 ? dmabuf_last_error() : check_join(&packet);
	if (got > 0)
		queue_packet_close(&packet);
	if (wrong) {
		refuse(q, j, &newcomer, EPROTO, wrong);
		return;
	}
	describe(&newcomer, &packet.m.join, j->fd);
	p = find_room(q, newcomer.info.min, &err, why, sizeof(why));
	if (p)
		become_peer(q, j, p, &newcomer);
	else
		refuse(q, j, &newcomer, err, why);
}

static int listen_on(struct dmabuf_queue *q, int fd)
{
	int err;

	if (q->listener >= 0)
		return dmabuf_fail(EBUSY, "the queue has a place where consumers come");
	/* accept() must never wait: who was there may be gone by then. */
	err = queue_nonblocking(fd, true);
	if (err == 0)
		err = queue_watch(q, fd, QUEUE_WATCH_LISTENER, 0, 0);
	if (err < 0)
		return dmabuf_fail(-err, "a socket cannot be watched: %s", strerror(-err));
	q->listener = fd;
	return 0;
}

/* Somebody's socket is at @path: is there still somebody? */
static int clear_path(const char *path, const struct sockaddr_un *address, socklen_t length)
{
	struct stat st;
	struct ucred peer;
	int fd;

	if (path[0] == '@' || lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return dmabuf_fail(EEXIST, "%s is there, and no socket", path);
	fd = queue_dial(address, length);
	if (fd == -ECONNREFUSED)
		return unlink(path) < 0 && errno != ENOENT
			       ? dmabuf_fail(errno, "cannot remove %s: %s", path, strerror(errno))
			       : 0;
	if (fd < 0 && fd != -EAGAIN)
		return dmabuf_fail(EADDRINUSE, "%s is in use: %s", path, strerror(-fd));
	peer = queue_peer_of(fd);
	if (fd >= 0)
		close(fd);
	return dmabuf_fail(EADDRINUSE, "at %s process %d listens already", path, (int)peer.pid);
}

/* A socket that listens at @path, or a negative errno with words. */
static int bind_path(const char *path)
{
	struct sockaddr_un address;
	socklen_t length;
	int fd, err;

	err = queue_address(path, &address, &length);
	if (err == 0)
		err = clear_path(path, &address, length);
	if (err < 0)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return dmabuf_fail(errno, "no socket: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err = dmabuf_fail(errno, "cannot listen at %s: %s", path, strerror(errno));
	close(fd);
	return err;
}

/* Which file is ours, should another be at that path in the end. */
static void remember_path(struct dmabuf_queue *q)
{
	struct stat st;

	if (q->path[0] == '@' || stat(q->path, &st) < 0)
		return;
	q->path_device = st.st_dev;
	q->path_inode = st.st_ino;
}

DMABUF_PUBLIC int dmabuf_queue_listen(struct dmabuf_queue *queue, const char *path)
{
	int fd, err;

	if (!queue || !path)
		return dmabuf_fail(EINVAL, "a queue and a path are needed");
	if (queue->listener >= 0 || queue->finishing)
		return dmabuf_fail(EBUSY, "the queue listens already, or has ended");
	fd = bind_path(path);
	if (fd < 0)
		return fd;
	/* It was short enough to be bound. */
	snprintf(queue->path, sizeof(queue->path), "%s", path);
	remember_path(queue);
	err = listen_on(queue, fd);
	if (err < 0) {
		close(fd);
		queue_unlisten(queue);
	}
	return err;
}

void queue_unlisten(struct dmabuf_queue *q)
{
	struct stat st;

	for (struct queue_joiner *j = q->joiners; j < q->joiners + QUEUE_MAX_JOINERS; j++)
		drop_joiner(q, j);
	if (q->listener >= 0) {
		queue_unwatch(q, q->listener);
		queue_hang_up(q->listener);
	}
	q->listener = -1;
	if (q->path_inode && lstat(q->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == q->path_device && st.st_ino == q->path_inode)
		(void)unlink(q->path);
	q->path[0] = '\0';
	q->path_inode = 0;
}

DMABUF_PUBLIC int dmabuf_queue_add(struct dmabuf_queue *queue, int socket)
{
	bool listens;
	int err;

	if (!queue || queue->finishing)
		return dmabuf_fail(EINVAL, "no queue (NULL), or one that has ended");
	err = queue_socket_check(socket, &listens);
	if (err < 0)
		return err;
	if (listens)
		return listen_on(queue, socket);
	if (queue->live + queue->joining >= DMABUF_QUEUE_MAX_CONSUMERS)
		return dmabuf_fail(EUSERS, "the queue has %u consumers already", queue->live);
	err = add_joiner(queue, socket);
	queue_set_timer(queue);
	return err;
}
