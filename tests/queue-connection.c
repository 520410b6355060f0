// SPDX-License-Identifier: MIT
/* How both ends of a queue find, lose and wait for each other: row E6. */
#include "queue-remote.h"

#include <sys/stat.h>
#include <sys/un.h>

TEST(E6_a_producer_started_again_is_found_again)
{
	struct remote r = remote_block();
	struct dmabuf_queue *q;
	struct answer a, b;

	r.options.reconnect_ms = STEP_MS;
	remote_start(&r, queue_path(), -1);
	q = queue_make(NULL);
	remote_enter(&r, q);
	ASSERT_OK(queue_produce(q, 1, 0));
	a = remote_do(&r, 't');
	ASSERT_EQ(a.content, 1);
	remote_order(&r, 't');
	dmabuf_queue_destroy(q);
	q = queue_make(NULL);
	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	ASSERT_OK(queue_produce(q, 2, 0));
	b = remote_answer(&r);
	ASSERT_EQ(b.result, 1);
	ASSERT_EQ(b.content, 2);
	ASSERT_EQ(b.frame.flags, DMABUF_FRAME_FIRST);
	ASSERT_EQ(b.connects, 2);
	ASSERT(a.frame.epoch != b.frame.epoch);
	/* Frames of both can be given back. */
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_EQ(queue_held(q), 0);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

/* The kernel says "reset" first where the other side had not read everything. */
TEST(E6_what_a_producer_sent_before_its_end_arrives)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = remote_block();

	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	ASSERT_OK(queue_produce(q, 2, 0));
	/* The producer never looks at this. */
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	dmabuf_queue_destroy(q);
	ASSERT_EQ(remote_do(&r, 't').content, 2);
	ASSERT_EQ(remote_do(&r, 't').result, -EPIPE);
	remote_end(&r);
}

TEST(E6_an_event_loop_finds_a_producer_that_was_started_again)
{
	struct remote r = remote_block();
	struct dmabuf_queue *q;
	struct answer a;

	r.options.reconnect_ms = STEP_MS;
	remote_start(&r, queue_path(), -1);
	q = queue_make(NULL);
	remote_enter(&r, q);
	ASSERT_EQ(remote_do(&r, 'p').result, 0);
	dmabuf_queue_destroy(q);
	/* It notices, and finds nobody. */
	ASSERT_EQ(remote_do(&r, 'T').result, -ETIMEDOUT);
	remote_order(&r, 'E');
	q = queue_make(NULL);
	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	ASSERT_OK(queue_produce(q, 2, 0));
	a = remote_answer(&r);
	ASSERT_EQ(a.result, 1);
	ASSERT_EQ(a.content, 2);
	/* Connected again, it sleeps until something comes. */
	ASSERT_EQ(remote_do(&r, 'p').result, 0);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_lost_producer_is_an_error_for_who_does_not_connect_again)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = remote_block(), s = remote_block();
	struct answer a;

	s.options.reconnect_ms = 50;
	remote_join(&r, q, queue_path());
	remote_join(&s, q, queue_path());
	ASSERT_OK(queue_produce(q, 1, 0));
	dmabuf_queue_destroy(q);
	/* What was sent before is not lost. */
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	a = remote_do(&r, 't');
	ASSERT_EQ(a.result, -EPIPE);
	ASSERT_STR_CONTAINS(a.words, "test-queue-connection (pid");
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_EQ(remote_do(&r, 't').result, -EPIPE);
	ASSERT_EQ(remote_do(&s, 't').content, 1);
	ASSERT_EQ(remote_do(&s, 't').result, -EPIPE);
	ASSERT_EQ(remote_do(&s, 't').result, -EPIPE);
	remote_end(&r);
	remote_end(&s);
}

static bool readable(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

TEST(E6_both_ends_fit_into_an_event_loop)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 2 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote r = remote_block();
	int fd = dmabuf_queue_fd(q);

	r.options.min_buffers = r.options.preferred_buffers = 1;
	ASSERT(!readable(&fd));
	remote_start(&r, queue_path(), -1);
	remote_order(&r, 'c');
	ASSERT(eventually(readable, &fd, STEP_MS));
	ASSERT_EQ(dispatch_until_joined(q, &r), 0);
	ASSERT(!readable(&fd));
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_EQ(remote_do(&r, 'p').result, 1);
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	ASSERT_EQ(remote_do(&r, 'p').result, 0);
	ASSERT(!readable(&fd));
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT(eventually(readable, &fd, STEP_MS));
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT(!readable(&fd));
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

/* With the descriptor asked for, too; only then it does not look at each buffer. */
static bool comes_in(void *arg)
{
	struct dmabuf_queue *q = arg;
	struct dmabuf_frame frame;

	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	ASSERT_OK(dmabuf_queue_cancel(q, &frame));
	return dmabuf_queue_get_consumers(q, NULL, 0) == 1;
}

TEST(E6_who_comes_while_there_are_empty_buffers_is_let_in)
{
	for (int asked = 0; asked < 2; asked++) {
		struct dmabuf_queue *q = queue_make(NULL);
		struct remote r = remote_block();

		if (asked)
			ASSERT_OK(dmabuf_queue_fd(q));
		remote_start(&r, queue_path(), -1);
		remote_order(&r, 'c');
		ASSERT(eventually(comes_in, q, STEP_MS));
		ASSERT_EQ(remote_answer(&r).result, 0);
		remote_end(&r);
		dmabuf_queue_destroy(q);
	}
}

TEST(E6_a_path_is_taken_over_from_the_dead_only)
{
	char dir[] = "/tmp/dmabuf-queue.XXXXXX", path[64];
	struct dmabuf_queue_options o = { .size = sizeof(o), .buffer_size = 4096 };
	struct dmabuf_queue *q, *second = dmabuf_queue_create(&o);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	ASSERT(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/q", dir);
	memcpy(a.sun_path, path, strlen(path));
	q = dmabuf_queue_create(&o);
	/* What a killed producer leaves. */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ASSERT_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	ASSERT_OK(dmabuf_queue_listen(q, path));
	ASSERT_ERR(dmabuf_queue_listen(q, path), EBUSY);
	ASSERT_ERR(dmabuf_queue_listen(second, path), EADDRINUSE);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "listens already");
	dmabuf_queue_destroy(q);
	ASSERT_EQ(stat(path, &st), -1);
	/* What is no socket is somebody's. */
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(fd);
	ASSERT_ERR(dmabuf_queue_listen(second, path), EEXIST);
	ASSERT_EQ(unlink(path), 0);
	dmabuf_queue_destroy(second);
	ASSERT_EQ(rmdir(dir), 0);
}

TEST(E6_nobody_listens_is_told_in_time)
{
	ASSERT_ERRNO(dmabuf_queue_connect("/nonexistent/queue", NULL, 30), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "No such file");
	ASSERT_ERRNO(dmabuf_queue_connect(queue_path(), NULL, 0), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "refused");
}

TEST(E6_a_producer_that_does_not_answer_is_told_in_time)
{
	struct dmabuf_queue *q = queue_make(NULL);

	ASSERT_ERRNO(dmabuf_queue_connect(queue_path(), NULL, 30), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "does not let us in");
	ASSERT_OK(dmabuf_queue_dispatch(q));
	dmabuf_queue_destroy(q);
}
