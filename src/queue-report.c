// SPDX-License-Identifier: MIT
/* An element tells its runner how it goes. There is one element in a process. */
#include "queue-report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "queue-inherit.h"
#include "queue.h"
#include "text.h"

/* How long a runner may not listen before an element gives up on it. */
#define NOTICE_MS 10000

static int send_notice(struct queue_notice *notice)
{
	const struct element *e = &the_element;
	ssize_t sent;

	if (e->control < 0)
		return 0;
	if (e->input)
		(void)dmabuf_queue_consumer_get_stats(e->input, &notice->stats);
	else if (e->output)
		(void)dmabuf_queue_get_stats(e->output, &notice->stats);
	do {
		sent = send(e->control, notice, sizeof(*notice), MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

int report_notify(enum report_type type, const char *key, const char *value)
{
	struct queue_notice notice = { .head = report_head(type) };

	if (key)
		text_copy(notice.key, sizeof(notice.key), key);
	if (value)
		text_copy(notice.value, sizeof(notice.value), value);
	return send_notice(&notice);
}

void report_consumer(uint32_t event, const struct dmabuf_queue_consumer_info *info,
		     const char *words)
{
	struct queue_notice notice = { .head = report_head(REPORT_CONSUMER) };
	struct report_consumer consumer = { .event = event, .info = *info };

	text_copy(consumer.words, sizeof(consumer.words), words);
	memcpy(notice.value, &consumer, sizeof(consumer));
	(void)send_notice(&notice);
}

/* The same for what must not be missed: waits for a runner that is stopped, but not for ever. */
static int notify_surely(enum report_type type, const char *key, const char *value)
{
	struct pollfd poll_fd = { .fd = the_element.control, .events = POLLOUT };
	uint64_t deadline = clock_ms() + NOTICE_MS;
	int err;

	for (;;) {
		err = report_notify(type, key, value);
		if (err != -EAGAIN || !clock_left(deadline))
			return err;
		(void)poll(&poll_fd, 1, clock_left(deadline));
	}
}

void report_consumers(struct dmabuf_queue *q)
{
	struct dmabuf_queue_consumer_info infos[DMABUF_QUEUE_MAX_CONSUMERS];
	int count;

	if (q->must_deliver)
		return;
	count = dmabuf_queue_get_consumers(q, infos, DMABUF_QUEUE_MAX_CONSUMERS);
	for (int i = 0; i < count; i++)
		report_consumer(REPORT_CONSUMER_STAYED, &infos[i], infos[i].label);
}

void report_frame(void)
{
	struct element *e = &the_element;
	uint64_t now;

	if (!e->stats_ms)
		return;
	now = clock_ns();
	if (now < e->stats_due)
		return;
	e->stats_due = now + (uint64_t)e->stats_ms * 1000000u;
	/* Only for display: a runner that is not listening misses one. */
	(void)report_notify(REPORT_STATS, NULL, NULL);
	if (e->output)
		report_consumers(e->output);
}

void report_peer_gone(void)
{
	(void)report_notify(REPORT_PEER_GONE, NULL, NULL);
}

int report_finished(void)
{
	/* Without this notice the runner takes the element for one that gave up. */
	int err = notify_surely(REPORT_FINISHED, NULL, NULL);

	return err < 0 ? dmabuf_fail(-err, "who started this program is not listening any more")
		       : 0;
}

void report_closed(bool input)
{
	struct element *e = &the_element;

	if (input)
		e->input = NULL;
	else
		e->output = NULL;
	if (e->input || e->output || e->control < 0)
		return;
	close(e->control);
	e->control = -1;
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++) {
		dma_buf_put(e->pool[i]);
		e->pool[i] = NULL;
	}
}

DMABUF_PUBLIC int dmabuf_queue_tell(const char *key, const char *value)
{
	int err;

	if (!key || !value)
		return dmabuf_fail(EINVAL, "a key and a value are needed");
	err = text_check(key, REPORT_KEY_LEN, false, "key");
	if (err == 0)
		err = text_check(value, REPORT_VALUE_LEN, true, "value");
	if (err < 0)
		return err;
	if (the_element.control < 0)
		return dmabuf_fail(ENOTCONN,
				   "there is nobody to tell: this program was not started "
				   "by dmabuf pipe, cast or catch");
	err = notify_surely(REPORT_TELL, key, value);
	return err < 0 ? dmabuf_fail(-err, "who started this program is not listening") : 0;
}
