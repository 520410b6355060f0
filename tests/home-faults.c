// SPDX-License-Identifier: MIT
/* Everything that can fail on either side of a home fails in turn: rows F5, F8. */
#include "faults.h"
#include "home.h"

#define STEPS_MAX 60

struct stage {
	struct block *block;
	struct home *home;
	int socket;
	struct home_storage storage;
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
};

static int open_one(struct stage *s)
{
	return home_open(&s->home, &s->block->address, "frame", SIZE, &ops, s->block);
}

static int connect_one(struct stage *s)
{
	int fd = home_connect(s->home);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int fetch_one(struct stage *s)
{
	int fd = home_fetch(&s->block->address, s->socket, 1, MS, &s->storage);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int prepare_one(struct stage *s)
{
	int fd = prepare(s->block, s->socket, atomic_load(&s->block->generation), &s->storage);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int list_all(struct stage *s)
{
	int count = home_heaps(&s->block->address, s->socket, MS, s->list);

	return count < 0 ? count : 0;
}

static bool documented(int err)
{
	switch (-err) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case ENOSPC:
	case EACCES:
	case EADDRINUSE:
	case EPROTO:
	case EIO:
		return true;
	default:
		return false;
	}
}

/* Calls until one goes through with nothing failing. */
static void fail_each(struct stage *s, int (*call)(struct stage *s))
{
	const char *failed = "";
	int before = open_fds(), step, err;

	for (step = 1; failed; step++) {
		ASSERT(step < STEPS_MAX);
		faults_arm(step);
		err = call(s);
		failed = faults_disarm();
		if (err) {
			ASSERT(failed);
			if (!documented(err))
				FAIL("%s failed: %d, %s", failed, err, dmabuf_last_error());
			ASSERT(dmabuf_last_error()[0]);
		}
		if (call == open_one && !err)
			home_close(s->home);
		if (call == open_one)
			ASSERT(eventually(has_fds, &before, MS));
		else
			ASSERT(open_fds() <= before + (call == connect_one ? 2 : 0));
	}
	test_note("%d steps", step - 2);
}

TEST_TIMEOUT(F5_whatever_fails_when_a_home_is_opened_leaves_nothing_behind, 300)
{
	struct stage s = { .block = new_block() };

	fail_each(&s, open_one);
}

TEST_TIMEOUT(F5_whatever_fails_when_a_way_is_made_leaves_nothing_behind, 300)
{
	struct stage s = { .block = new_block() };
	int before = open_fds();

	s.home = open_home(s.block);
	fail_each(&s, connect_one);
	home_close(s.home);
	ASSERT(eventually(has_fds, &before, MS));
}

static void fail_for_visitors(struct stage *s)
{
	fail_each(s, fetch_one);
	fail_each(s, prepare_one);
	fail_each(s, list_all);
}

TEST_TIMEOUT(F5_whatever_fails_for_a_visitor_leaves_nothing_behind, 300)
{
	struct exporter_process e = { .more = NULL };
	struct stage s = { .socket = exporter_start(&e) };
	int socket = s.socket;

	s.block = e.block;
	fail_for_visitors(&s);
	s.socket = -1;
	fail_for_visitors(&s);
	close(socket);
	exporter_end(&e);
}

/* In this process nothing is kept of a preparation that failed. */
TEST_TIMEOUT(F8_whatever_fails_when_storage_is_prepared_leaves_nothing_behind, 300)
{
	struct stage s = { .block = new_block(), .socket = -1 };
	const char *failed = "";
	int before, step, err;

	s.home = open_home(s.block);
	before = open_fds();
	for (step = 1; failed; step++) {
		faults_arm(step);
		err = prepare_one(&s);
		failed = faults_disarm();
		ASSERT(!err || failed);
		ASSERT(!err || documented(err));
		ASSERT(open_fds() <= before + 1);
		/* What did not fail is in force, and the one before it goes. */
		if (!err)
			atomic_store(&s.block->generation, s.storage.generation);
	}
	test_note("%d steps", step - 2);
	home_close(s.home);
}

/* The exporter's side: the visitor is told, or sent away, and the next one is served. */
struct served {
	struct block *block;
	struct gate go, done;
	int result;
};

static int ask_when_told(void *arg)
{
	struct served *s = arg;
	struct home_storage storage;
	int fd;

	for (;;) {
		gate_wait(&s->go);
		if (atomic_load(&s->block->count) < 0)
			return 0;
		fd = prepare(s->block, -1, atomic_load(&s->block->generation), &storage);
		if (fd >= 0)
			close(fd);
		atomic_store(&s->block->count, fd < 0 ? -fd : 0);
		gate_signal(&s->done);
	}
}

TEST_TIMEOUT(F5_whatever_fails_in_the_home_ends_one_visit_at_most, 300)
{
	struct served s = { .block = new_block() };
	const char *failed = "";
	struct home *home;
	int step, before;
	char byte;
	pid_t pid;

	gate_init(&s.go);
	gate_init(&s.done);
	pid = spawn(ask_when_told, &s);
	home = open_home(s.block);
	before = open_fds();
	for (step = 1; failed; step++) {
		ASSERT(step < STEPS_MAX);
		faults_arm(step);
		gate_signal(&s.go);
		/* Not by gate_wait(), whose poll() could be what fails. */
		ASSERT_EQ(read(s.done.fd[0], &byte, 1), 1);
		failed = faults_disarm();
		ASSERT(!atomic_load(&s.block->count) || failed);
		gate_signal(&s.go);
		gate_wait(&s.done);
		ASSERT_EQ(atomic_load(&s.block->count), 0);
		before = before + (step == 1); /* what was prepared */
		ASSERT(eventually(has_fds, &before, MS));
	}
	test_note("%d steps", step - 2);
	atomic_store(&s.block->count, -1);
	gate_signal(&s.go);
	ASSERT_EQ(reap(pid), 0);
	home_close(home);
	gate_close(&s.go);
	gate_close(&s.done);
}
