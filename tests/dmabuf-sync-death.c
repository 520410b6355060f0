// SPDX-License-Identifier: MIT
/* Holders and waiters die, at any point and in any way: what is left of them. */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sync.h"

TEST(D5_a_killed_writers_buffer_goes_to_the_next_who_is_told_by_whom_and_where)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dma_buf_access_info torn[2];
	struct remote r;

	remote_start(&r, "painter");
	remote_ask(&r, (struct order){ .kind = ORDER_ADD,
				       .type = DMA_BUF_ACCESS_W,
				       .start = 1024,
				       .len = 512 });
	ASSERT_OK(dma_buf_send(r.peer.socket, dmabuf, 20000));
	ASSERT_OK(remote_answer(&r).ret);
	ASSERT_OK(remote_lock(&r, 0));
	remote_kill(&r);

	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	ASSERT(dmabuf_sync_is_locked(mine));
	ASSERT_EQ(dmabuf_sync_get_torn(mine, dmabuf, torn, 2), 1);
	ASSERT_STR_EQ(torn[0].label, "painter");
	ASSERT_EQ(torn[0].pid, r.peer.pid);
	ASSERT_EQ(torn[0].state, DMA_BUF_ACCESS_TORN);
	ASSERT_EQ(torn[0].holder, DMA_BUF_MAX_CLIENTS);
	ASSERT(torn[0].write);
	ASSERT_EQ(torn[0].start, 1024);
	ASSERT_EQ(torn[0].length, 512);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_TORN), 1);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	/* Written by one who knew: whole. */
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT_EQ(dmabuf_sync_get_torn(mine, dmabuf, torn, 2), 0);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_EQ(peer_info(dmabuf).access_count, 0);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_killed_readers_buffer_is_whole)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);

	remote_dies_with(dmabuf, "reader", DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_dies_with(dmabuf, "device", DMA_BUF_ACCESS_DMA_R);
	ASSERT_OK(dmabuf_sync_lock(mine));
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_killed_devices_buffer_whose_transfers_have_ended_is_torn)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);

	remote_dies_with(dmabuf, "device", DMA_BUF_ACCESS_DMA_W);
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_killed_waiter_is_waited_for_by_nobody)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote writer, reader;

	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&writer, "writer", dmabuf, DMA_BUF_ACCESS_W);
	remote_queue(&writer, dmabuf, 1);
	remote_with(&reader, "reader", dmabuf, DMA_BUF_ACCESS_R);
	remote_queue(&reader, dmabuf, 2);
	remote_kill(&writer);
	/* It only waited, so nothing is torn, and readers share. */
	ASSERT_OK(remote_answer(&reader).ret);
	ASSERT(dmabuf_sync_is_locked(mine));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_OK(remote_unlock(&reader));
	remote_end(&reader);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_all_threads_of_all_holders_may_be_gone)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r[6];
	int i;

	for (i = 0; i < 6; i++) {
		remote_with(&r[i], "reader", dmabuf, DMA_BUF_ACCESS_R);
		ASSERT_OK(remote_lock(&r[i], 0));
	}
	for (i = 0; i < 6; i++)
		remote_kill(&r[i]);
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT_EQ(peer_info(dmabuf).access_count, 1);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_killed_in_the_middle_of_a_group)
{
	struct dmabuf_sync *sync[2];
	struct dma_buf *dmabuf[2];
	struct remote r;
	int i;

	ordered_buffers(dmabuf);
	for (i = 0; i < 2; i++)
		sync[i] = sync_of("mine", dmabuf[i], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(sync[1]));
	remote_with(&r, "group", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_add(&r, dmabuf[1], DMA_BUF_ACCESS_W);
	remote_queue(&r, dmabuf[1], 1);
	remote_kill(&r);
	ASSERT_OK(dmabuf_sync_unlock(sync[1]));
	ASSERT_ERR(dmabuf_sync_lock(sync[0]), EOWNERDEAD);
	{
		int ret = dmabuf_sync_lock(sync[1]);

		/* With the unlock it may have been granted, dead as it was. */
		ASSERT(ret == 0 || ret == -EOWNERDEAD);
	}
	for (i = 0; i < 2; i++) {
		dmabuf_sync_fini(sync[i]);
		dma_buf_put(dmabuf[i]);
	}
}

/* Its memory is in use until the child that shares it ends, as vfork() does it. */
static int die_while_the_memory_lives(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = sync_of("undead", dmabuf, DMA_BUF_ACCESS_W);
	char byte;

	ASSERT_OK(dmabuf_sync_lock(sync));
	if (syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
		send(peer->socket, "x", 1, MSG_NOSIGNAL);
		_exit(recv(peer->socket, &byte, 1, 0) == 1 ? 0 : 1);
	}
	return 1;
}

TEST(D5_nobody_is_granted_while_a_dead_holders_memory_is_in_use)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct peer peer;

	forks_beside_threads();
	peer_start(&peer, dmabuf, die_while_the_memory_lives, NULL);
	peer_wait(&peer);
	kill(peer.pid, SIGKILL);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 200), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "undead");
	peer_tell(&peer);
	ASSERT(waitpid(-1, NULL, 0) > 0); /* the child came to us */
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	close(peer.socket);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* A thread of the victim copies a file into the buffer when it is killed: in the kernel. */
#define COPY_SIZE ((size_t)64 << 20)

static void *copy_for_ever(void *arg)
{
	void **job = arg;
	char *to = job[0];
	int fd = (int)(intptr_t)job[1];

	for (;;)
		ASSERT_EQ(pread(fd, to, COPY_SIZE, 0), (ssize_t)COPY_SIZE);
	return NULL;
}

static int copy_into_the_buffer(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = sync_of("copier", dmabuf, DMA_BUF_ACCESS_W);
	int fd = memfd_create("source", MFD_CLOEXEC);
	void *job[2] = { dma_buf_vmap(dmabuf), (void *)(intptr_t)fd };
	pthread_t thread;

	ASSERT(fd >= 0 && job[0]);
	ASSERT_OK(ftruncate(fd, (off_t)COPY_SIZE));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_EQ(pthread_create(&thread, NULL, copy_for_ever, job), 0);
	peer_tell(peer);
	pthread_join(thread, NULL);
	return 1;
}

TEST_TIMEOUT(D5_nobody_is_granted_before_a_killed_process_has_stopped_writing, 300)
{
	struct dma_buf *dmabuf = dma_buf_alloc("copied", COPY_SIZE, O_RDWR);
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	volatile char *at = dma_buf_vmap(dmabuf);
	struct peer peer;
	size_t i;
	int round;

	forks_beside_threads();
	ASSERT(at);
	for (round = 0; round < (test_is_slow() ? 2 : 8); round++) {
		peer_start(&peer, dmabuf, copy_into_the_buffer, NULL);
		peer_wait(&peer);
		/* It is at it: what we write is overwritten. */
		at[0] = 1;
		while (at[0])
			sched_yield();
		kill(peer.pid, SIGKILL);
		ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
		/* From now on it is ours alone. */
		for (i = 0; i < COPY_SIZE; i += 4096)
			at[i] = 2;
		ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
		for (i = 0; i < COPY_SIZE; i += 4096)
			ASSERT_EQ(at[i], 2);
		ASSERT_OK(dmabuf_sync_unlock(mine));
		close(peer.socket);
	}
	dma_buf_vunmap(dmabuf, (void *)at);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

static int exit_while_holding(struct peer *peer, struct dma_buf *dmabuf)
{
	static struct dmabuf_sync *volatile sync; /* valgrind finds it with the exit */

	sync = sync_of("leaver", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(sync));
	peer_tell(peer);
	_exit(0);
}

TEST(D5_exit_ends_a_hold)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct peer peer;

	forks_beside_threads();
	peer_start(&peer, dmabuf, exit_while_holding, NULL);
	peer_wait(&peer);
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	peer_end(&peer);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

static int exec_while_holding(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = sync_of("changeling", dmabuf, DMA_BUF_ACCESS_W);

	ASSERT_OK(dmabuf_sync_lock(sync));
	/* The program that comes next reads what the test tells it to end. */
	ASSERT_OK(dup2(peer->socket, 0));
	execl("/bin/sh", "sh", "-c", "echo x >&0; read line", (char *)NULL);
	return 1;
}

TEST(D5_exec_ends_a_hold)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct peer peer;

	forks_beside_threads();
	peer_start(&peer, dmabuf, exec_while_holding, NULL);
	peer_wait(&peer);
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	/* It still runs. */
	ASSERT_EQ(waitpid(peer.pid, NULL, WNOHANG), 0);
	peer_kill(&peer);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

static int be_the_child(struct peer *peer, struct dmabuf_sync *sync, struct dma_buf *dmabuf, int fd)
{
	struct dmabuf_sync *own;
	struct dma_buf *mine;

	ASSERT_ERR(dmabuf_sync_lock(sync), ECHILD);
	ASSERT_ERR(dmabuf_sync_trylock(sync), ECHILD);
	ASSERT_ERR(dmabuf_sync_unlock(sync), ECHILD);
	ASSERT(!dmabuf_sync_is_locked(sync));
	ASSERT_ERR(dmabuf_sync_set_lease(sync, 100), ECHILD);
	ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R), ECHILD);
	ASSERT_ERR(dmabuf_sync_repaired(sync, dmabuf), ECHILD);
	ASSERT_ERR(dmabuf_sync_get_torn(sync, dmabuf, NULL, 0), ECHILD);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false), ECHILD);
	ASSERT_ERR(dmabuf_sync_single_unlock(dmabuf), ECHILD);
	ASSERT_ERR(dma_buf_set_max_lease(dmabuf, 100), ECHILD);
	/* A handle and an object of its own, for which the parent is somebody else. */
	mine = dma_buf_get(fd);
	ASSERT(mine);
	own = sync_of("child", mine, DMA_BUF_ACCESS_W);
	ASSERT_ERR(dmabuf_sync_trylock(own), EBUSY);
	ASSERT_EQ(dma_buf_flock(fd, LOCK_UN), 0);
	dmabuf_sync_fini(own);
	dma_buf_put(mine);
	/* Frees the child's memory and nothing else. */
	dmabuf_sync_put(sync, dmabuf);
	dmabuf_sync_fini(sync);
	peer_tell(peer);
	return 0;
}

static int fork_while_holding(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = sync_of("parent", dmabuf, DMA_BUF_ACCESS_W);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), ret;
	pid_t pid;

	ASSERT_OK(fd);
	ASSERT_OK(dmabuf_sync_lock(sync));
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		ret = be_the_child(peer, sync, dmabuf, fd);
		/* Lives until the test has seen that its parent's hold is gone. */
		gate_wait(peer->arg);
		_exit(ret);
	}
	peer_wait(peer);
	ASSERT(dmabuf_sync_is_locked(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT_OK(dmabuf_sync_lock(sync));
	peer_tell(peer);
	_exit(0);
}

TEST(D5_a_forked_child_has_no_part_in_its_parents_hold)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct peer peer;
	struct gate end;
	int status;

	forks_beside_threads();
	gate_init(&end);
	peer_start(&peer, dmabuf, fork_while_holding, &end);
	peer_wait(&peer); /* the child is done */
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	peer_tell(&peer);
	peer_wait(&peer);
	ASSERT_EQ(reap(peer.pid), 0);
	/* The parent is gone, the child, which inherited all it could, is not. */
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	ASSERT_EQ(waitpid(-1, NULL, WNOHANG), 0);
	gate_signal(&end);
	ASSERT(waitpid(-1, &status, 0) > 0);
	ASSERT_EQ(status, 0);
	gate_close(&end);
	close(peer.socket);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* Locks and unlocks two buffers, of which it changes both or none, as fast as it can. */
#define FAST 2
static int keep_in_step(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf *all[FAST] = { dmabuf, dma_buf_recv(peer->socket, 20000) };
	struct dmabuf_sync *sync = sync_of("fast", dmabuf, DMA_BUF_ACCESS_W);
	volatile long *at[FAST];
	int i, ret;

	ASSERT(all[1]);
	ASSERT_OK(dmabuf_sync_get(sync, all[1], DMA_BUF_ACCESS_W));
	for (i = 0; i < FAST; i++)
		at[i] = dma_buf_vmap(all[i]);
	peer_tell(peer);
	for (;;) {
		ret = dmabuf_sync_lock(sync);
		ASSERT(ret == 0 || ret == -EOWNERDEAD);
		if (ret)
			*at[0] = *at[1] = 0;
		ASSERT_EQ(*at[0], *at[1]);
		for (i = 0; i < FAST; i++)
			++*at[i];
		ASSERT_OK(dmabuf_sync_unlock(sync));
	}
	return 0;
}

TEST_TIMEOUT(D5_killed_at_any_point, 300)
{
	struct dma_buf *dmabuf[FAST] = { buffer_new("x"), buffer_new("y") };
	struct dmabuf_sync *mine = sync_of("mine", dmabuf[0], DMA_BUF_ACCESS_W);
	int rounds = test_is_slow() ? 20 : 150, torn = 0, round, ret;
	volatile long *at[FAST];
	struct peer peer[2];
	unsigned int wait;
	long before;

	forks_beside_threads();
	ASSERT_OK(dmabuf_sync_get(mine, dmabuf[1], DMA_BUF_ACCESS_W));
	at[0] = dma_buf_vmap(dmabuf[0]);
	at[1] = dma_buf_vmap(dmabuf[1]);
	for (round = 0; round < rounds; round++) {
		int i, count = 1 + round % 2;

		before = *at[0];
		for (i = 0; i < count; i++) {
			peer_start(&peer[i], dmabuf[0], keep_in_step, NULL);
			ASSERT_OK(dma_buf_send(peer[i].socket, dmabuf[1], 20000));
			peer_wait(&peer[i]);
		}
		for (wait = 0; *at[0] == before || wait < (unsigned int)(round * 7919) % 30000;
		     wait++)
			if (wait > 100000000)
				FAIL("nothing moves");
		for (i = 0; i < count; i++)
			peer_kill(&peer[i]);
		ret = dmabuf_sync_lock(mine);
		ASSERT(ret == 0 || ret == -EOWNERDEAD);
		if (ret == -EOWNERDEAD) {
			torn++;
			*at[0] = *at[1] = 0;
		}
		ASSERT_EQ(*at[0], *at[1]);
		ASSERT_OK(dmabuf_sync_unlock(mine));
	}
	ASSERT_EQ(peer_info(dmabuf[0]).access_count, 0);
	test_note("%d of %d found it torn", torn, rounds);
	dma_buf_vunmap(dmabuf[0], (void *)at[0]);
	dma_buf_vunmap(dmabuf[1], (void *)at[1]);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D5_one_who_only_tries_finds_the_dead_too)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *blocked = sync_of("blocked", dmabuf, DMA_BUF_ACCESS_R);
	struct remote holder, waiter;

	/* By the fast path. */
	remote_dies_with(dmabuf, "writer", DMA_BUF_ACCESS_W);
	ASSERT_ERR(dmabuf_sync_trylock(mine), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_dies_with(dmabuf, "reader", DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_trylock(mine));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_dies_with(dmabuf, "writer", DMA_BUF_ACCESS_W);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));

	/* In the queue. */
	ASSERT_ERR(dmabuf_sync_trylock(mine), EOWNERDEAD);
	remote_with(&holder, "holder", dmabuf, DMA_BUF_ACCESS_R);
	remote_with(&waiter, "waiter", dmabuf, DMA_BUF_ACCESS_W);
	remote_queue(&holder, dmabuf, 1);
	remote_queue(&waiter, dmabuf, 2);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_OK(remote_answer(&holder).ret);
	ASSERT_ERR(dmabuf_sync_trylock(blocked), EBUSY);
	remote_kill(&holder);
	remote_kill(&waiter);
	{
		int ret = dmabuf_sync_trylock(blocked);

		/* The waiter may have been granted before it died. */
		ASSERT(ret == 0 || ret == -EOWNERDEAD);
	}
	/* The living are in the way still. */
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	dmabuf_sync_fini(blocked);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}
