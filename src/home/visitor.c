// SPDX-License-Identifier: MIT
/* The other side: one who needs storage, and does not trust the home either. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "home/homes.h"
#include "text.h"

/* The end of one talk: without words, as another one may go better. No errno is that large. */
#define HUNG_UP (-100000)
/* Between two talks with a home that has too much to do. */
#define PAUSE_FIRST_MS 1
#define PAUSE_LAST_MS 16

static int no_answer(void)
{
	return dmabuf_fail(ETIMEDOUT, "the buffer's home did not answer in time: its process is "
				      "stopped, or has much to do");
}

static int died(void)
{
	return dmabuf_fail(EOWNERDEAD, "the buffer's home hung up: its process has ended, or let "
				       "the buffer go");
}

static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, clock_left(deadline));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return dmabuf_fail(errno, "waiting for a buffer's home failed: %s",
				   strerror(errno));
	return n ? 0 : no_answer();
}

static int say(int fd, const void *message, size_t length, int send_fd, uint64_t deadline)
{
	int err = talk_send(fd, message, length, send_fd);

	while (err == -EAGAIN) {
		err = wait_for(fd, POLLOUT, deadline);
		if (err)
			return err;
		err = talk_send(fd, message, length, send_fd);
	}
	if (err == -EPIPE || err == -ECONNRESET)
		return HUNG_UP;
	return err ? dmabuf_fail(-err, "the buffer's home cannot be asked: %s", strerror(-err)) : 0;
}

static int listen_to(int fd, union wire_message *m, int *take_fd, uint64_t deadline)
{
	int got = talk_receive(fd, m, take_fd), err;

	while (got == -EAGAIN) {
		err = wait_for(fd, POLLIN, deadline);
		if (err)
			return err;
		got = talk_receive(fd, m, take_fd);
	}
	if (got > 0)
		return got;
	if (got == 0 && take_fd && *take_fd >= 0)
		close(*take_fd);
	if (got == 0 || got == -ECONNRESET)
		return HUNG_UP;
	return dmabuf_fail(-got, "what the buffer's home says cannot be read: %s",
			   got == -EPROTO ? "too long, or too many descriptors (or none is left "
					    "here)"
					  : strerror(-got));
}

static int call_by_name(const struct home_address *address, uint64_t deadline)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), left, err;
	struct sockaddr_un to;
	socklen_t length = talk_address(address->name, &to);
	struct timeval limit;

	if (fd < 0)
		return dmabuf_fail(errno, "no socket to ask a buffer's home: %s", strerror(errno));
	do {
		left = clock_left(deadline);
		limit = (struct timeval){ left / 1000, left % 1000 * 1000L };
		if (!left)
			limit.tv_usec = 1; /* 0 is for ever */
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		err = connect(fd, (struct sockaddr *)&to, length) < 0 ? errno : 0;
	} while (err == EINTR);
	if (!err)
		return fd;
	close(fd);
	if (err == EAGAIN)
		return no_answer();
	return dmabuf_fail(err == ECONNREFUSED ? EHOSTDOWN : err,
			   "the buffer's home does not answer (%s): the exporting process has "
			   "ended, or is in another network namespace; there, receive the buffer "
			   "with dma_buf_recv()",
			   strerror(err));
}

/* Many may have that socket, so the talk is over one of our own. */
static int call_by_socket(int socket, uint64_t deadline)
{
	struct wire_knock knock = { .head = wire_head(WIRE_KNOCK) };
	int ends[2], err;

	if (!talk_is_socket(socket))
		return dmabuf_fail(EINVAL, "descriptor %d leads to no home", socket);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return dmabuf_fail(errno, "no socket to ask a buffer's home: %s", strerror(errno));
	err = say(socket, &knock, sizeof(knock), ends[1], deadline);
	close(ends[1]);
	if (!err)
		return ends[0];
	close(ends[0]);
	return err == HUNG_UP ? died() : err;
}

/* What the home said instead: why it does not go on. */
static int refused(struct wire_answer *answer)
{
	const char *wrong = wire_check_answer(answer, false);

	if (wrong || !answer->error)
		return dmabuf_fail(EPROTO, "the buffer's home: %s",
				   wrong ? wrong : "an answer, but nothing was asked");
	return dmabuf_fail(answer->error, "the buffer's home: %s", answer->words);
}

static int introduce(int fd, const struct home_address *address, struct wire_nonces *nonces,
		     uint64_t deadline)
{
	struct wire_hello hello = { .head = wire_head(WIRE_HELLO) };
	uint8_t proof[MAC_SIZE];
	union wire_message m;
	int got;

	if (getrandom(nonces->visitor, sizeof(nonces->visitor), 0) != sizeof(nonces->visitor))
		return dmabuf_fail(EIO, "no random bytes to ask a buffer's home");
	memcpy(hello.name, address->name, sizeof(hello.name));
	memcpy(hello.nonce, nonces->visitor, sizeof(hello.nonce));
	got = say(fd, &hello, sizeof(hello), -1, deadline);
	if (!got)
		got = listen_to(fd, &m, NULL, deadline);
	if (got < 0)
		return got;
	if (wire_is(&m, (size_t)got, WIRE_ANSWER))
		return refused(&m.answer);
	if (!wire_is(&m, (size_t)got, WIRE_CHALLENGE))
		return dmabuf_fail(EPROTO, "what answers in place of the buffer's home is none");
	memcpy(nonces->home, m.challenge.nonce, sizeof(nonces->home));
	wire_prove_home(proof, address, nonces);
	return mac_equal(proof, m.challenge.proof)
		       ? 0
		       : dmabuf_fail(EACCES, "who answers in place of the buffer's home does not "
					     "know its secret");
}

/* NULL, or what is wrong with it. */
static const char *check_reply(union wire_message *m, size_t length, uint32_t wish, bool with_fd)
{
	bool wants_fd = wish == WIRE_FETCH || wish == WIRE_PREPARE;
	const char *wrong;

	if (wish == WIRE_LIST && wire_is(m, length, WIRE_HEAPS))
		return with_fd ? "a descriptor that nobody asked for" : NULL;
	if (!wire_is(m, length, WIRE_ANSWER))
		return "what it answers is no answer";
	wrong = wire_check_answer(&m->answer, with_fd);
	if (!wrong && !m->answer.error && (wish == WIRE_LIST || wants_fd != with_fd))
		wrong = "its answer is not to what was asked";
	return wrong;
}

/* @m is zeroed before, and has the answer, if there was one. */
static int ask_over(int fd, const struct home_address *address, struct wire_request *request,
		    union wire_message *m, int *storage_fd, uint64_t deadline)
{
	struct wire_nonces nonces;
	const char *wrong;
	int got;

	got = introduce(fd, address, &nonces, deadline);
	if (got)
		return got;
	wire_prove_request(request->proof, address, &nonces, request);
	got = say(fd, request, sizeof(*request), -1, deadline);
	if (!got)
		got = listen_to(fd, m, storage_fd, deadline);
	if (got < 0)
		return got;
	wrong = check_reply(m, (size_t)got, request->wish, *storage_fd >= 0);
	if (wrong) {
		memset(m, 0, sizeof(*m));
		return dmabuf_fail(EPROTO, "the buffer's home: %s", wrong);
	}
	if (m->head.type == WIRE_ANSWER && m->answer.error)
		return dmabuf_fail(m->answer.error, "%s", m->answer.words);
	return 0;
}

static int ask_once(const struct home_address *address, int socket, struct wire_request *request,
		    union wire_message *m, int *storage_fd, uint64_t deadline)
{
	int fd = socket >= 0 ? call_by_socket(socket, deadline) : call_by_name(address, deadline);
	int err;

	*storage_fd = -1;
	if (fd < 0)
		return fd;
	err = ask_over(fd, address, request, m, storage_fd, deadline);
	close(fd);
	if (err && *storage_fd >= 0)
		close(*storage_fd);
	return err;
}

/* A home that has too many visitors sends some away, and one with too many requests says so. */
static bool come_again(int err, int *pause_ms, uint64_t deadline)
{
	int left = clock_left(deadline);

	if ((err != HUNG_UP && err != -EBUSY) || !left)
		return false;
	(void)poll(NULL, 0, *pause_ms < left ? *pause_ms : left);
	*pause_ms = *pause_ms * 2 < PAUSE_LAST_MS ? *pause_ms * 2 : PAUSE_LAST_MS;
	return true;
}

/* 0, with a descriptor in *@storage_fd if one was asked for. @m is zero if there was no answer. */
static int ask(const struct home_address *address, int socket, struct wire_request *request,
	       union wire_message *m, int *storage_fd, uint64_t deadline)
{
	int err, pause_ms = PAUSE_FIRST_MS;
	bool again = false;

	do {
		memset(m, 0, sizeof(*m));
		err = ask_once(address, socket, request, m, storage_fd, deadline);
		/* It was there a moment ago. */
		if (again && err == -EHOSTDOWN)
			return died();
		again = true;
	} while (come_again(err, &pause_ms, deadline));
	return err == HUNG_UP ? no_answer() : err;
}

static int check(const struct home_address *address, int timeout_ms)
{
	static const struct home_address none;

	if (!memcmp(address, &none, sizeof(none)))
		return dmabuf_fail(EINVAL, "the buffer has no home");
	if (timeout_ms < 0)
		return dmabuf_fail(EINVAL, "timeout of %d ms: every wait has an end", timeout_ms);
	return 0;
}

/* The home, if it is one of this process; the secret counts here as well. */
static int find_here(const struct home_address *address, struct home **home)
{
	*home = homes_get(address->name);
	/* Not to be asked for over a socket, by the thread that would have to answer perhaps. */
	if (!*home && homes_are_here(address->name))
		return dmabuf_fail(EOWNERDEAD, "the buffer's home was closed in this process");
	if (!*home || mac_equal((*home)->address.secret, address->secret))
		return 0;
	homes_put(*home);
	return dmabuf_fail(EACCES, "that is not the secret of the buffer's home");
}

/* A descriptor that came from a home: is it what the home says? */
static int take_storage(int fd, const struct home_storage *from, struct home_storage *storage)
{
	uint64_t have;
	int err = home_check_storage(fd, from->size, &have, "the buffer's home");

	if (err) {
		close(fd);
		return err;
	}
	*storage = *from;
	return fd;
}

int home_fetch(const struct home_address *address, int socket, uint64_t generation, int timeout_ms,
	       struct home_storage *storage)
{
	uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
	struct wire_request request = { .head = wire_head(WIRE_REQUEST),
					.wish = WIRE_FETCH,
					.generation = generation };
	union wire_message m;
	struct home *home;
	int fd, err = check(address, timeout_ms);

	if (!err)
		err = find_here(address, &home);
	if (err)
		return err;
	if (home) {
		fd = storages_fetch(home, generation, storage);
		homes_put(home);
		return fd;
	}
	err = ask(address, socket, &request, &m, &fd, deadline);
	if (err)
		return err;
	if (m.answer.storage.generation != generation) {
		close(fd);
		return dmabuf_fail(
			EPROTO, "the buffer's home gives storage %" PRIu64 " instead of %" PRIu64,
			m.answer.storage.generation, generation);
	}
	return take_storage(fd, &m.answer.storage, storage);
}

static int take_heaps(struct wire_request *request, const char (*heaps)[DMA_BUF_HEAP_NAME_LEN],
		      unsigned int count)
{
	int err = 0;

	if (!count || count > DMA_BUF_MAX_HEAPS)
		return dmabuf_fail(EINVAL, "storage from %u heaps: must be 1 to %d", count,
				   DMA_BUF_MAX_HEAPS);
	for (unsigned int i = 0; i < count && !err; i++) {
		err = text_check(heaps[i], DMA_BUF_HEAP_NAME_LEN, false, "heap name");
		if (!err)
			text_copy(request->heaps[i], sizeof(request->heaps[i]), heaps[i]);
	}
	request->heap_count = count;
	return err;
}

int home_prepare(const struct home_address *address, int socket, uint64_t base,
		 const char (*heaps)[DMA_BUF_HEAP_NAME_LEN], unsigned int heap_count,
		 int timeout_ms, struct home_storage *storage, struct heap_attempts *attempts)
{
	uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
	struct wire_request request = { .head = wire_head(WIRE_REQUEST),
					.wish = WIRE_PREPARE,
					.generation = base };
	union wire_message m;
	struct heap_attempts unused;
	struct home *home;
	int fd, err = check(address, timeout_ms);

	if (!err)
		err = take_heaps(&request, heaps, heap_count);
	if (!err)
		err = find_here(address, &home);
	if (err)
		return err;
	if (!attempts)
		attempts = &unused;
	if (home) {
		fd = storages_prepare(home, base, request.heaps, heap_count, deadline, storage,
				      attempts);
		homes_put(home);
		return fd;
	}
	err = ask(address, socket, &request, &m, &fd, deadline);
	*attempts = m.answer.attempts;
	return err ? err : take_storage(fd, &m.answer.storage, storage);
}

int home_settle(const struct home_address *address, int socket, int timeout_ms)
{
	uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
	struct wire_request request = { .head = wire_head(WIRE_REQUEST), .wish = WIRE_SETTLE };
	union wire_message m;
	struct home *home;
	int fd, err = check(address, timeout_ms);

	if (!err)
		err = find_here(address, &home);
	if (err)
		return err;
	if (!home)
		return ask(address, socket, &request, &m, &fd, deadline);
	err = storages_settle(home);
	homes_put(home);
	return err;
}

int home_heaps(const struct home_address *address, int socket, int timeout_ms,
	       struct dma_buf_heap_info *list)
{
	uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
	struct wire_request request = { .head = wire_head(WIRE_REQUEST), .wish = WIRE_LIST };
	union wire_message m;
	const char *wrong;
	struct home *home;
	int fd, err = check(address, timeout_ms);

	if (!err)
		err = find_here(address, &home);
	if (err)
		return err;
	if (home) {
		homes_put(home);
		memset(list, 0, DMA_BUF_MAX_HEAPS * sizeof(list[0]));
		list[0].size = sizeof(list[0]);
		return dma_buf_heap_list(list, DMA_BUF_MAX_HEAPS);
	}
	err = ask(address, socket, &request, &m, &fd, deadline);
	if (err)
		return err;
	wrong = wire_take_heaps(&m.heaps, list);
	return wrong ? dmabuf_fail(EPROTO, "the buffer's home: %s", wrong) : (int)m.heaps.count;
}
