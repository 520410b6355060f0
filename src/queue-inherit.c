// SPDX-License-Identifier: MIT
/* The ends of a queue that a program gets from who started it. */
#include "queue-inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <dmabuf/share.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "queue.h"
#include "text.h"

struct element the_element = { .control = -1, .in = -1, .out = -1 };

/* Several threads must not all take the environment's sockets. */
static atomic_flag taking = ATOMIC_FLAG_INIT;

static int parse_number(const char **text, char end)
{
	char *rest;
	long value;

	if (**text == '-' && (*text)[1] == '1' && (*text)[2] == end) {
		*text += 3;
		return -1;
	}
	if (**text < '0' || **text > '9')
		return -2;
	errno = 0;
	value = strtol(*text, &rest, 10);
	if (errno || *rest != end || value > INT_MAX)
		return -2;
	*text = rest + 1;
	return (int)value;
}

static int check_fds(const char *value, const int *fds)
{
	bool listens;

	for (int i = 0; i < 3; i++) {
		if (fds[i] >= 0 && queue_socket_check(fds[i], &listens) < 0)
			return dmabuf_fail(EINVAL,
					   DMABUF_QUEUE_ENV
					   "=%.60s: descriptor %d is not a queue's socket",
					   value, fds[i]);
		for (int k = 0; k < i; k++)
			if (fds[k] == fds[i] && fds[k] >= 0)
				return dmabuf_fail(EINVAL,
						   DMABUF_QUEUE_ENV "=%.60s: a descriptor twice",
						   value);
	}
	if (fds[0] < 0)
		return dmabuf_fail(EINVAL, DMABUF_QUEUE_ENV "=%.60s: no control socket", value);
	return 0;
}

static int take_sockets(void)
{
	const char *value = secure_getenv(DMABUF_QUEUE_ENV), *text = value;
	int fds[3], err;

	if (!value)
		return dmabuf_fail(ENOENT, DMABUF_QUEUE_ENV
				   " is not set: start this program with dmabuf pipe, cast or "
				   "catch and exec:");
	text += strncmp(text, "1:", 2) ? strlen(text) : 2;
	for (int i = 0; i < 3; i++) {
		fds[i] = *text ? parse_number(&text, i < 2 ? ':' : '\0') : -2;
		if (fds[i] < -1)
			return dmabuf_fail(
				EINVAL, DMABUF_QUEUE_ENV "=%.60s: not of the form 1:N:N:N", value);
	}
	err = check_fds(value, fds);
	if (err < 0)
		return err;
	if (atomic_flag_test_and_set(&taking))
		return dmabuf_fail(EBUSY, "the queue was opened before in this process");
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			fcntl(fds[i], F_SETFD, FD_CLOEXEC);
	the_element.control = fds[0];
	the_element.in = fds[1];
	the_element.out = fds[2];
	the_element.taken = true;
	return 0;
}

static int wait_readable(int fd, uint64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int ready;

	do {
		ready = poll(&poll_fd, 1, clock_left(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return dmabuf_fail(errno, "cannot wait for who started this program");
	if (ready == 0)
		return dmabuf_fail(ETIMEDOUT, "who started this program did not greet it in time");
	return 0;
}

static int check_hello(struct queue_hello *hello)
{
	if (hello->head.magic != REPORT_MAGIC || hello->head.type != REPORT_HELLO)
		return dmabuf_fail(EPROTO, "the first message is not a greeting");
	if (hello->head.version != REPORT_VERSION)
		return dmabuf_fail(EPROTO,
				   "the greeting is of version %u, this library's is %u: use the "
				   "dmabuf command of this library",
				   hello->head.version, REPORT_VERSION);
	if (hello->buffers > DMABUF_QUEUE_MAX_BUFFERS)
		return dmabuf_fail(EPROTO, "%u buffers are announced, not up to %d", hello->buffers,
				   DMABUF_QUEUE_MAX_BUFFERS);
	hello->path[sizeof(hello->path) - 1] = '\0';
	hello->label[sizeof(hello->label) - 1] = '\0';
	return 0;
}

static int receive_hello(struct queue_hello *hello, uint64_t deadline)
{
	ssize_t got;
	int err;

	do {
		err = wait_readable(the_element.control, deadline);
		if (err < 0)
			return err;
		got = recv(the_element.control, hello, sizeof(*hello), MSG_DONTWAIT | MSG_TRUNC);
	} while (got < 0 && (errno == EAGAIN || errno == EINTR));
	if (got < 0 && errno != ECONNRESET)
		return dmabuf_fail(errno, "cannot receive the greeting");
	if (got <= 0)
		return dmabuf_fail(EPIPE, "who started this program is gone");
	if (got != sizeof(*hello))
		return dmabuf_fail(EPROTO, "the greeting has %zd bytes, not %zu", got,
				   sizeof(*hello));
	return check_hello(hello);
}

static void drop_pool(struct element *e)
{
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++) {
		dma_buf_put(e->pool[i]);
		e->pool[i] = NULL;
	}
}

static int be_greeted(uint64_t deadline)
{
	struct element *e = &the_element;
	int err = receive_hello(&e->hello, deadline);

	for (uint32_t i = 0; i < e->hello.buffers && err == 0; i++) {
		e->pool[i] = dma_buf_recv(e->control, clock_left(deadline));
		if (!e->pool[i])
			err = -errno;
	}
	if (err == 0)
		err = report_notify(REPORT_OPENED, NULL, NULL);
	if (err < 0)
		drop_pool(e);
	else
		e->stats_ms = e->hello.stats_ms;
	return err;
}

/* The element's sockets, once in a process. */
static int begin(int timeout_ms, uint64_t *deadline)
{
	int err;

	if (timeout_ms < 0)
		return dmabuf_fail(EINVAL, "timeout %d ms: must be 0 or more", timeout_ms);
	*deadline = clock_ms() + (uint64_t)timeout_ms;
	if (the_element.taken)
		return 0;
	err = take_sockets();
	return err < 0 ? err : be_greeted(*deadline);
}

static void *failed(int err)
{
	if (err == -EPIPE)
		report_peer_gone();
	errno = -err;
	return NULL;
}

static struct dmabuf_queue_consumer_options
input_options(const struct dmabuf_queue_consumer_options *wanted)
{
	const struct queue_hello *hello = &the_element.hello;
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o),
						   .flags = DMABUF_QUEUE_WRITES };

	if (wanted)
		o.flags = wanted->flags;
	o.label = hello->label[0] ? hello->label : NULL;
	o.policy = (enum dmabuf_queue_policy)hello->policy;
	o.min_buffers = hello->min_buffers;
	o.preferred_buffers = hello->preferred_buffers;
	o.reconnect_ms = hello->reconnect_ms;
	return o;
}

static struct dmabuf_queue_consumer *open_input(const struct dmabuf_queue_consumer_options *o,
						uint64_t deadline)
{
	struct element *e = &the_element;
	int left = clock_left(deadline);
	struct dmabuf_queue_consumer *c;

	/* Somebody else may start the producer whenever he likes: how long that may take is not
	 * ours. */
	if (e->in < 0)
		return dmabuf_queue_connect(e->hello.path, o, (int)e->hello.connect_ms);
	c = dmabuf_queue_join(e->in, o, left);
	if (c)
		e->in = -1;
	return c;
}

DMABUF_PUBLIC struct dmabuf_queue_consumer *
dmabuf_queue_open_input(const struct dmabuf_queue_consumer_options *options, int timeout_ms)
{
	struct dmabuf_queue_consumer_options o;
	struct element *e = &the_element;
	uint64_t deadline;
	int err = begin(timeout_ms, &deadline);

	if (err == 0 && e->input_opened)
		err = dmabuf_fail(EBUSY, "the input was opened before in this process");
	if (err == 0 && e->in < 0 && (e->out >= 0 || !e->hello.path[0]))
		err = dmabuf_fail(ENOENT, "this program is the source: it has no input");
	if (err < 0)
		return failed(err);
	e->input_opened = true;
	o = input_options(options);
	e->input = open_input(&o, deadline);
	if (!e->input)
		return failed(-errno);
	e->input->inherited = true;
	return e->input;
}

static struct dmabuf_queue *make_source(const struct dmabuf_queue_options *options)
{
	const struct queue_hello *hello = &the_element.hello;
	struct dmabuf_queue_options o = { .size = sizeof(o) };
	struct dmabuf_queue *q;

	if (options)
		o = *options;
	if (!options || !options->buffer_size)
		o.buffer_size = hello->buffer_size;
	o.max_buffers = hello->max_buffers;
	o.stall_ms = hello->stall_ms;
	if (o.min_buffers > o.max_buffers && o.max_buffers)
		o.min_buffers = o.max_buffers;
	q = dmabuf_queue_create(&o);
	if (!q || !hello->buffers)
		return q;
	/* The pool is as it is: everybody shares it. */
	q->fixed = hello->buffers;
	if (!options || !options->buffer_size)
		memcpy(q->given, the_element.pool, sizeof(q->given));
	return q;
}

static int connect_output(struct dmabuf_queue *q, uint64_t deadline)
{
	struct element *e = &the_element;
	int err;

	if (e->out >= 0) {
		q->must_deliver = true;
		err = dmabuf_queue_add(q, e->out);
		if (err == 0)
			e->out = -1;
		return err < 0 ? err : dmabuf_queue_wait_consumers(q, 1, clock_left(deadline));
	}
	err = dmabuf_queue_listen(q, e->hello.path);
	if (err == 0 && e->hello.consumers)
		err = dmabuf_queue_wait_consumers(q, e->hello.consumers, INT_MAX);
	return err;
}

DMABUF_PUBLIC struct dmabuf_queue *
dmabuf_queue_open_output(struct dmabuf_queue_consumer *input,
			 const struct dmabuf_queue_options *options, int timeout_ms)
{
	struct element *e = &the_element;
	struct dmabuf_queue *q;
	uint64_t deadline;
	int err = begin(timeout_ms, &deadline);

	if (err == 0 && e->output_opened)
		err = dmabuf_fail(EBUSY, "the output was opened before in this process");
	if (err == 0 && e->out < 0 && (e->input_opened || !e->hello.path[0]))
		err = dmabuf_fail(ENOENT, "this program is the sink: it has no output");
	if (err < 0)
		return failed(err);
	q = input ? dmabuf_queue_create_relay(input, options) : make_source(options);
	if (!q)
		return failed(-errno);
	e->output_opened = true;
	e->output = q;
	q->inherited = true;
	err = connect_output(q, deadline);
	if (err < 0) {
		/* Who started us is still to be told why. */
		q->inherited = false;
		e->output = NULL;
		dmabuf_queue_destroy(q);
		return failed(err);
	}
	return q;
}
