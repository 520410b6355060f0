// SPDX-License-Identifier: MIT
/* Consumers that die, stop, or give nothing back: row E6, and D5's rule that death is not
 * quiescence. */
#include <dirent.h>
#include <sys/stat.h>

#include "queue-remote.h"
#include "queue-wire.h"
#include "shm/layout.h"

static struct remote block(uint32_t flags)
{
	struct remote r = { .options = { .policy = DMABUF_QUEUE_BLOCK, .flags = flags } };

	return r;
}

/* A queue whose consumers hold the whole pool after two frames. */
static struct dmabuf_queue *small_queue(int stall_ms)
{
	struct dmabuf_queue_options o = { .min_buffers = 1,
					  .max_buffers = 3,
					  .stall_ms = stall_ms };

	return queue_make(&o);
}

static void stop(const struct remote *r)
{
	char path[64], text[256];
	FILE *f;

	kill(r->pid, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)r->pid);
	/* The signal has arrived when the process is stopped. */
	do {
		f = fopen(path, "re");
		ASSERT(f);
		while (fgets(text, sizeof(text), f) && strncmp(text, "State:", 6))
			;
		fclose(f);
	} while (!strchr(text, 'T'));
}

TEST(E6_a_reader_killed_in_the_middle_of_its_access_gives_its_buffers_back)
{
	struct dmabuf_queue *q = small_queue(-1);
	struct remote r = block(0);

	remote_join(&r, q, queue_path());
	for (uint64_t i = 0; i < 3; i++)
		ASSERT_OK(queue_produce(q, i, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 0);
	ASSERT_ERR(queue_produce(q, 3, 0), ETIMEDOUT);
	remote_kill(&r);
	ASSERT_OK(queue_produce(q, 3, STEP_MS));
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 0);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_writer_that_was_killed_gives_its_buffer_back_once_its_lock_is_free)
{
	struct dmabuf_queue *q = small_queue(-1);
	struct remote r = block(DMABUF_QUEUE_WRITES);

	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 0, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 0);
	remote_do(&r, 'w');
	remote_kill(&r);
	for (uint64_t i = 1; i < 9; i++)
		ASSERT_OK(queue_produce(q, i, STEP_MS));
	while (dmabuf_queue_get_consumers(q, NULL, 0))
		ASSERT_OK(dmabuf_queue_dispatch(q));
	dmabuf_queue_destroy(q);
}

/* Slots, as messages carry them: another living process keeps the lock of a dead writer's slot. */
struct keeper {
	int buffer;
	struct gate holds;
	struct gate ends;
};

static int keep_lock(void *arg)
{
	struct keeper *k = arg;
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SHM_LOCK_SLOT(40), .l_len = 1
	};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", k->buffer);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
	gate_signal(&k->holds);
	gate_wait(&k->ends);
	close(fd);
	return 0;
}

static int raw_join(struct dmabuf_queue *q, uint32_t flags)
{
	struct queue_join join = { .head = queue_head(QUEUE_JOIN),
				   .policy = DMABUF_QUEUE_BLOCK,
				   .flags = flags,
				   .min = 1,
				   .preferred = 2,
				   .label = "raw" };
	struct queue_welcome welcome;
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	ASSERT_OK(dmabuf_queue_add(q, sockets[0]));
	ASSERT_EQ(send(sockets[1], &join, sizeof(join), 0), sizeof(join));
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_EQ(recv(sockets[1], &welcome, sizeof(welcome), MSG_DONTWAIT), sizeof(welcome));
	return sockets[1];
}

static uint64_t inode(const struct dmabuf_frame *frame)
{
	int fd = dma_buf_fd(frame->dmabuf, O_CLOEXEC);
	struct stat st;

	ASSERT_OK(fd);
	ASSERT_EQ(fstat(fd, &st), 0);
	close(fd);
	return st.st_ino;
}

static bool nothing_held(void *arg)
{
	return queue_held(arg) == 0;
}

TEST(E6_a_dead_writer_whose_threads_are_not_gone_keeps_its_buffer_for_a_while_only)
{
	struct queue_slot slot = { .head = queue_head(QUEUE_SLOT), .index = 0, .slot = 40 };
	struct dmabuf_queue *q = small_queue(-1);
	struct dmabuf_frame frame;
	struct keeper k;
	pid_t pid;
	uint64_t before;
	int raw;

	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	k.buffer = dma_buf_fd(frame.dmabuf, O_CLOEXEC);
	gate_init(&k.holds);
	gate_init(&k.ends);
	pid = spawn(keep_lock, &k);
	gate_wait(&k.holds);
	raw = raw_join(q, DMABUF_QUEUE_WRITES);
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	ASSERT_EQ(send(raw, &slot, sizeof(slot), 0), sizeof(slot));
	close(raw);
	ASSERT_EQ(queue_held(q), 1);
	/* All others can be had, this one cannot. */
	ASSERT_ERR(dmabuf_queue_wait_consumers(q, 1, 100), ETIMEDOUT);
	ASSERT_EQ(queue_held(q), 1);
	gate_signal(&k.ends);
	ASSERT_EQ(reap(pid), 0);
	ASSERT_EQ(queue_held(q), 0);
	/* The same, but it does not end: other memory takes the place. */
	pid = spawn(keep_lock, &k);
	gate_wait(&k.holds);
	raw = raw_join(q, DMABUF_QUEUE_WRITES);
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	ASSERT_EQ(frame.index, 0);
	before = inode(&frame);
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	ASSERT_EQ(send(raw, &slot, sizeof(slot), 0), sizeof(slot));
	close(raw);
	ASSERT(eventually(nothing_held, q, STEP_MS));
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	ASSERT_EQ(frame.index, 0);
	ASSERT(inode(&frame) != before);
	gate_signal(&k.ends);
	ASSERT_EQ(reap(pid), 0);
	close(k.buffer);
	gate_close(&k.holds);
	gate_close(&k.ends);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_dead_writer_with_devices_never_gets_its_memory_filled_again)
{
	struct dmabuf_queue *q = small_queue(-1);
	struct remote r = block(DMABUF_QUEUE_DMA_WRITES);
	struct dmabuf_frame frame;
	uint64_t before;

	remote_join(&r, q, queue_path());
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	before = inode(&frame);
	frame.used = 8;
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	ASSERT_EQ(remote_do(&r, 't').result, 1);
	remote_kill(&r);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_EQ(queue_held(q), 0);
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	ASSERT_EQ(frame.index, 0);
	ASSERT(inode(&frame) != before);
	dmabuf_queue_destroy(q);
}

static char told[400];

static void remember(void *data, enum dmabuf_queue_event event,
		     const struct dmabuf_queue_consumer_info *consumer, const char *words)
{
	if (event == DMABUF_QUEUE_CUT_OFF)
		snprintf(told, sizeof(told), "%s", words);
}

TEST(E6_a_stopped_consumer_is_cut_off_by_name_and_the_others_go_on)
{
	struct dmabuf_queue_options o = {
		.min_buffers = 1, .max_buffers = 7, .stall_ms = 200, .event = remember
	};
	struct dmabuf_queue *q = queue_make(&o);
	struct remote stopped = block(0), other = block(0);
	struct answer a;
	char name[64];

	remote_join(&stopped, q, queue_path());
	remote_join(&other, q, queue_path());
	ASSERT_OK(queue_produce(q, 0, 0));
	a = remote_do(&stopped, 't');
	ASSERT_EQ(a.content, 0);
	stop(&stopped);
	for (uint64_t i = 0; i < 50; i++) {
		if (i)
			ASSERT_OK(queue_produce(q, i, STEP_MS));
		ASSERT_EQ(remote_do(&other, 't').content, i);
		ASSERT_EQ(remote_do(&other, 'r').result, 0);
	}
	snprintf(name, sizeof(name), "(pid %d) is cut off", (int)stopped.pid);
	ASSERT_STR_CONTAINS(told, name);
	ASSERT_STR_CONTAINS(told, "it held 7 buffers");
	/* When it goes on its frame is as it was, and it is told. */
	kill(stopped.pid, SIGCONT);
	for (uint64_t i = 1; i < 7; i++)
		ASSERT_EQ(remote_do(&stopped, 't').content, i);
	a = remote_do(&stopped, 't');
	ASSERT_EQ(a.result, -ECONNABORTED);
	ASSERT_STR_CONTAINS(a.words, "gave nothing back for");
	ASSERT_EQ(remote_do(&stopped, 'r').result, 0);
	remote_end(&stopped);
	remote_end(&other);
	dmabuf_queue_destroy(q);
}

TEST(E6_who_drops_may_stop_for_ever)
{
	struct dmabuf_queue_options o = { .stall_ms = 1 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote stopped = { 0 };

	remote_join(&stopped, q, queue_path());
	stop(&stopped);
	for (uint64_t i = 0; i < 1000; i++)
		ASSERT_OK(queue_produce(q, i, 0));
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 1);
	kill(stopped.pid, SIGCONT);
	ASSERT_EQ(remote_do(&stopped, 't').content, 0);
	remote_end(&stopped);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_release_fence_outlives_its_consumer_and_ends_with_its_owner)
{
	struct dmabuf_queue *q = small_queue(-1);
	struct remote r = block(0);

	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 0, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 0);
	ASSERT_EQ(remote_do(&r, 'f').result, 0);
	ASSERT_EQ(queue_held(q), 1);
	ASSERT_EQ(remote_do(&r, 'l').result, 0);
	ASSERT_EQ(queue_held(q), 1);
	/* Its owner dies, which ends the fence. */
	remote_kill(&r);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_EQ(queue_held(q), 0);
	dmabuf_queue_destroy(q);
}

static int descriptors(pid_t pid)
{
	char path[64];
	int count = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	ASSERT(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

struct back {
	struct dmabuf_queue *q;
	int fds;
};

static bool has_come_back(void *arg)
{
	struct back *b = arg;

	ASSERT_OK(dmabuf_queue_dispatch(b->q));
	return descriptors(getpid()) <= b->fds;
}

TEST_TIMEOUT(E6_consumers_come_and_go_and_nothing_is_left, 300)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r;
	int fds = -1, mappings = -1;
	uint64_t n = 0;

	for (int i = 0; i < 100; i++) {
		r = block(i % 4 == 1 ? DMABUF_QUEUE_WRITES : 0);
		remote_join(&r, q, queue_path());
		ASSERT_OK(queue_produce(q, n, STEP_MS));
		ASSERT_EQ(remote_do(&r, 't').content, n++);
		if (i % 2) {
			remote_kill(&r);
		} else {
			ASSERT_EQ(remote_do(&r, i % 3 ? 'l' : 'r').result, 0);
			remote_end(&r);
		}
		ASSERT_OK(queue_produce(q, n++, STEP_MS));
		while (dmabuf_queue_get_consumers(q, NULL, 0))
			ASSERT_OK(dmabuf_queue_dispatch(q));
		if (i == 4) {
			fds = descriptors(getpid());
			mappings = buffer_mappings();
		}
	}
	/* The last one was killed: what it had comes back when its lock is free. */
	ASSERT(eventually(has_come_back, &(struct back){ q, fds }, STEP_MS));
	ASSERT_EQ(buffer_mappings(), mappings);
	dmabuf_queue_destroy(q);
}
