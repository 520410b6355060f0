// SPDX-License-Identifier: MIT
/*
 * Death is not quiescence: the DMA hold of a dead process lasts until its device is done (row D5).
 * Here the device is whoever has a copy of the device lock, so that each step happens when told;
 * quiescence.c has real transfers.
 */
#include <dmabuf.h>

#include <sys/prctl.h>
#include <sys/resource.h>

#include "block-util.h"
#include "exporter.h"
#include "peer.h"

#define SIZE 65536

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd;

	ASSERT_EQ(recvmsg(socket, &msg, MSG_CMSG_CLOEXEC), 1);
	ASSERT(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)"x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	ASSERT_EQ(sendmsg(socket, &msg, MSG_NOSIGNAL), 1);
}

static struct dmabuf_sync *sync_of(struct dma_buf *dmabuf, const char *name, unsigned int type)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, name);

	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, type));
	return sync;
}

struct told {
	struct dmabuf_sync *sync;
	const char *words;
};

static bool waited_until_told(void *arg)
{
	struct told *told = arg;

	ASSERT_ERR(dmabuf_sync_lock_timeout(told->sync, 100), ETIMEDOUT);
	return strstr(dmabuf_last_error(), told->words);
}

/* Waits in vain until that is why. */
static void waits_in_vain(struct dmabuf_sync *sync, const char *words)
{
	struct told told = { sync, words };

	ASSERT(eventually(waited_until_told, &told, WAIT_MS));
}

__attribute__((noreturn)) static void idle(void)
{
	for (;;)
		pause();
}

/* Takes the buffer for a device that does not end, and says so; never returns. */
static int holder(struct peer *peer, struct dma_buf *dmabuf)
{
	unsigned int type = peer->arg ? *(unsigned int *)peer->arg : DMA_BUF_ACCESS_DMA_W;
	struct dmabuf_sync *sync = sync_of(dmabuf, "camera", type);
	int fd = dma_buf_device_lock_fd(dmabuf, O_CLOEXEC);

	/* A CPU's hold goes with its lease, which must not be what ends it here. */
	if (type & DMA_BUF_ACCESS_DMA)
		ASSERT_OK(dmabuf_sync_set_lease(sync, 1));
	else
		ASSERT_OK(dmabuf_sync_set_lease(sync, DMABUF_SYNC_LEASE_MAX_MS));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(fd);
	send_fd(peer->socket, fd);
	idle();
}

static struct dma_buf *buffer(void)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", SIZE, O_RDWR);

	ASSERT(dmabuf);
	return dmabuf;
}

TEST(D5_a_dead_holders_dma_access_lasts_until_its_device_is_done)
{
	struct dma_buf *dmabuf = buffer();
	struct dmabuf_sync *sync = sync_of(dmabuf, "display", DMA_BUF_ACCESS_R);
	struct dma_buf_access_info torn = { 0 };
	struct peer peer;
	int device;

	peer_start(&peer, dmabuf, holder, NULL);
	device = receive_fd(peer.socket);
	peer_kill(&peer);
	/* The lease of a millisecond is long over, too. */
	waits_in_vain(sync, "which is dead, but whose device is not done,");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "camera");
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	close(device);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, WAIT_MS), EOWNERDEAD);
	ASSERT_EQ(dmabuf_sync_get_torn(sync, dmabuf, &torn, 1), 1);
	ASSERT_STR_EQ(torn.label, "camera");
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D5_a_dead_reading_device_keeps_writers_waiting_and_no_readers)
{
	unsigned int type = DMA_BUF_ACCESS_DMA_R;
	struct dma_buf *dmabuf = buffer();
	struct dmabuf_sync *reader = sync_of(dmabuf, "reader", DMA_BUF_ACCESS_R);
	struct dmabuf_sync *writer = sync_of(dmabuf, "writer", DMA_BUF_ACCESS_DMA_W);
	struct peer peer;
	int device;

	peer_start(&peer, dmabuf, holder, &type);
	device = receive_fd(peer.socket);
	peer_kill(&peer);
	ASSERT_OK(dmabuf_sync_lock_timeout(reader, WAIT_MS));
	ASSERT_OK(dmabuf_sync_unlock(reader));
	ASSERT_ERR(dmabuf_sync_lock_timeout(writer, 100), ETIMEDOUT);
	close(device);
	/* It only read: nothing is torn. */
	ASSERT_OK(dmabuf_sync_lock_timeout(writer, WAIT_MS));
	ASSERT_OK(dmabuf_sync_unlock(writer));
	dmabuf_sync_fini(reader);
	dmabuf_sync_fini(writer);
	dma_buf_put(dmabuf);
}

TEST(D5_a_dead_holders_cpu_access_does_not_wait_for_a_device)
{
	unsigned int type = DMA_BUF_ACCESS_W;
	struct dma_buf *dmabuf = buffer();
	struct dmabuf_sync *sync = sync_of(dmabuf, "display", DMA_BUF_ACCESS_W);
	struct peer peer;
	int device;

	peer_start(&peer, dmabuf, holder, &type);
	device = receive_fd(peer.socket);
	peer_kill(&peer);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, WAIT_MS), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	close(device);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D5_a_hold_lost_to_its_lease_drains_even_after_its_owners_death)
{
	struct dma_buf *dmabuf = buffer();
	struct dmabuf_sync *sync = sync_of(dmabuf, "display", DMA_BUF_ACCESS_R);
	struct peer peer;
	int device;

	peer_start(&peer, dmabuf, holder, NULL);
	device = receive_fd(peer.socket);
	waits_in_vain(sync, "lost it, but its device is not done");
	peer_kill(&peer);
	waits_in_vain(sync, "which is dead");
	close(device);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, WAIT_MS), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static bool is_released(void *data)
{
	return ((struct counting_exporter *)data)->released == 1;
}

TEST(D5_an_exporters_release_waits_for_the_devices_of_the_dead)
{
	static struct counting_exporter exporter;
	struct dma_buf *dmabuf = counting_export(&exporter, SIZE, O_RDWR);
	struct peer peer;
	int device;

	peer_start(&peer, dmabuf, holder, NULL);
	device = receive_fd(peer.socket);
	peer_kill(&peer);
	dma_buf_put(dmabuf);
	ASSERT(!eventually(is_released, &exporter, 200));
	close(device);
	ASSERT(eventually(is_released, &exporter, WAIT_MS));
}

TEST(D5_ones_own_device_lock_keeps_nothing_waiting)
{
	static struct counting_exporter exporter;
	struct dma_buf *dmabuf = counting_export(&exporter, SIZE, O_RDWR);
	struct dmabuf_sync *sync = sync_of(dmabuf, "display", DMA_BUF_ACCESS_DMA_W);
	int fd = dma_buf_device_lock_fd(dmabuf, O_CLOEXEC);

	ASSERT_OK(fd);
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 1);
	close(fd);
}

TEST(D5_a_device_lock_is_a_descriptor_like_others)
{
	struct dma_buf *dmabuf = buffer();
	int fd = dma_buf_device_lock_fd(dmabuf, O_CLOEXEC);
	int plain = dma_buf_device_lock_fd(dmabuf, 0);

	ASSERT_OK(fd);
	ASSERT_OK(plain);
	ASSERT(fd != plain);
	ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ASSERT_EQ(fcntl(plain, F_GETFD), 0);
	close(fd);
	close(plain);
	ASSERT_ERR(dma_buf_device_lock_fd(NULL, 0), EINVAL);
	ASSERT_ERR(dma_buf_device_lock_fd(dmabuf, O_NONBLOCK), EINVAL);
	dma_buf_put(dmabuf);
}

TEST(D5_without_descriptors_a_device_lock_says_EMFILE)
{
	struct dma_buf *dmabuf = buffer(), *fresh = buffer();
	struct rlimit limit;
	int fd = dma_buf_device_lock_fd(dmabuf, O_CLOEXEC);

	ASSERT_OK(fd);
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = (rlim_t)fd;
	close(fd);
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_ERR(dma_buf_device_lock_fd(fresh, O_CLOEXEC), EMFILE);
	limit.rlim_cur = limit.rlim_max;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
	dma_buf_put(dmabuf);
	dma_buf_put(fresh);
}

static int child_of(void *data)
{
	ASSERT_ERR(dma_buf_device_lock_fd(data, O_CLOEXEC), ECHILD);
	return 0;
}

TEST(D5_a_parents_device_lock_is_not_a_childs)
{
	struct dma_buf *dmabuf = buffer();

	ASSERT_EQ(reap(spawn(child_of, dmabuf)), 0);
	dma_buf_put(dmabuf);
}

/* Has a block device with a ring, which has been used, and a hold; then a child that lives on. */
static int forker(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_block_completion done;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_device *dev;
	int file = scratch_file(O_RDWR);
	pid_t child;

	ASSERT_OK(ftruncate(file, SIZE));
	dev = dma_buf_block_open(file, NULL, NULL);
	ASSERT(dev);
	attach = dma_buf_attach(dmabuf, dev);
	ASSERT(attach);
	table = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);
	ASSERT(table);
	ASSERT_OK(dma_buf_block_submit(attach, table, DMA_FROM_DEVICE, 0, SIZE, 0, 1));
	ASSERT_EQ(dma_buf_block_reap(dev, &done, 1, WAIT_MS), 1);
	ASSERT_OK(dmabuf_sync_lock(sync_of(dmabuf, "camera", DMA_BUF_ACCESS_DMA_W)));
	child = fork();
	if (!child) {
		close(file);
		idle();
	}
	ASSERT_OK(child);
	ASSERT_EQ(send(peer->socket, &child, sizeof(child), 0), sizeof(child));
	idle();
}

TEST(D5_a_child_keeps_neither_its_parents_ring_nor_its_device_lock)
{
	struct dma_buf *dmabuf = buffer();
	struct dmabuf_sync *sync = sync_of(dmabuf, "display", DMA_BUF_ACCESS_R);
	struct peer peer;
	pid_t child;

	/* Orphans come to us. */
	ASSERT_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	peer_start(&peer, dmabuf, forker, NULL);
	ASSERT_EQ(recv(peer.socket, &child, sizeof(child), 0), sizeof(child));
	peer_kill(&peer);
	ASSERT_EQ(kill(child, 0), 0);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, WAIT_MS), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	kill(child, SIGKILL);
	ASSERT_EQ(reap(child), 128 + SIGKILL);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static int execer(struct peer *peer, struct dma_buf *dmabuf)
{
	unsigned int type = DMA_BUF_ACCESS_DMA_W;
	struct dmabuf_sync *sync = sync_of(dmabuf, "camera", type);

	ASSERT_OK(dma_buf_device_lock_fd(dmabuf, O_CLOEXEC));
	ASSERT_OK(dmabuf_sync_lock(sync));
	peer_tell(peer);
	peer_wait(peer);
	execlp("sleep", "sleep", "100", (char *)NULL);
	return 1;
}

TEST(D5_exec_ends_the_holds_of_devices_that_are_done)
{
	struct dma_buf *dmabuf = buffer();
	struct dmabuf_sync *sync = sync_of(dmabuf, "display", DMA_BUF_ACCESS_R);
	struct peer peer;

	peer_start(&peer, dmabuf, execer, NULL);
	peer_wait(&peer);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	peer_tell(&peer);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, WAIT_MS), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	peer_kill(&peer);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

/* The kernel keeps as many files for a ring as a process may open. */
TEST(D5_a_ring_that_has_no_room_for_device_locks_refuses_more_tables)
{
	enum { MORE = 24 };
	struct dma_buf_block_options o = { .size = sizeof(o), .method = DMA_BUF_BLOCK_URING };
	struct dma_buf_attachment *attach[MORE];
	struct dma_buf_block_completion done;
	struct dma_buf *buffers[MORE];
	struct dma_buf_sg_table *table[MORE];
	int i, err = 0, file = scratch_file(O_RDWR);
	struct dma_buf_device *dev;
	struct rlimit limit;
	rlim_t before;

	ASSERT_OK(ftruncate(file, 4096));
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &limit));
	before = limit.rlim_cur;
	limit.rlim_cur = 20;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
	dev = dma_buf_block_open(file, NULL, &o);
	if (!dev)
		SKIP("%s", dmabuf_last_error());
	limit.rlim_cur = before;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i < MORE; i++) {
		buffers[i] = dma_buf_alloc("one of many", 4096, O_RDWR);
		attach[i] = dma_buf_attach(buffers[i], dev);
		ASSERT(attach[i]);
		table[i] = dma_buf_map_attachment(attach[i], DMA_FROM_DEVICE);
		ASSERT(table[i]);
		err = dma_buf_block_submit(attach[i], table[i], DMA_FROM_DEVICE, 0, 4096, 0, 1);
		ASSERT(!err == (i < 20));
		if (!err)
			ASSERT_EQ(dma_buf_block_reap(dev, &done, 1, WAIT_MS), 1);
	}
	ASSERT_ERR(err, ENOSPC);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "takes 20 mapped tables");
	/* One that goes makes room. */
	dma_buf_put(buffers[0]);
	ASSERT_OK(dma_buf_block_submit(attach[MORE - 1], table[MORE - 1], DMA_FROM_DEVICE, 0, 4096,
				       0, 1));
	ASSERT_EQ(dma_buf_block_reap(dev, &done, 1, WAIT_MS), 1);
	for (i = 1; i < MORE; i++)
		dma_buf_put(buffers[i]);
	dma_buf_device_put(dev);
	close(file);
}
