// SPDX-License-Identifier: MIT
/* Asynchronous locks and unlocks with fences of other processes. */
#include "async.h"
#include "sync-peer.h"

/* A buffer, whose hold the other process's fence will end. */
struct rig {
	struct owner owner;
	struct dma_buf *dmabuf;
	struct dmabuf_sync *job;
	struct dmabuf_sync *next;
	struct dma_fence *remote;
};

static void rig_make(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	owner_start(&r->owner);
	r->remote = dmabuf_sync_file_get_fence(r->owner.fd);
	ASSERT(r->remote);
	r->dmabuf = buffer_new("frame");
	r->job = sync_of("job", r->dmabuf, DMA_BUF_ACCESS_DMA_W);
	r->next = sync_of("next", r->dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_lock(r->job));
	ASSERT_OK(dmabuf_sync_unlock_fence(r->job, r->remote));
	ASSERT_ERR(dmabuf_sync_trylock(r->next), EBUSY);
}

static void rig_end(struct rig *r)
{
	dma_fence_put(r->remote);
	dmabuf_sync_fini(r->job);
	dmabuf_sync_fini(r->next);
	dma_buf_put(r->dmabuf);
}

TEST(E4_another_processs_fence_gives_the_buffers_back)
{
	struct rig r;

	rig_make(&r);
	owner_do(&r.owner, 's');
	ASSERT_OK(dmabuf_sync_lock_timeout(r.next, 20000));
	owner_end(&r.owner);
	rig_end(&r);
}

TEST(E4_another_processs_failure_leaves_the_content_torn)
{
	struct rig r;

	rig_make(&r);
	owner_do(&r.owner, 'e');
	ASSERT_ERR(dmabuf_sync_lock_timeout(r.next, 20000), EOWNERDEAD);
	owner_end(&r.owner);
	rig_end(&r);
}

TEST(E4_another_processs_death_ends_its_jobs_and_tells)
{
	struct rig r;

	rig_make(&r);
	kill(r.owner.pid, SIGKILL);
	ASSERT_EQ(reap(r.owner.pid), 128 + SIGKILL);
	ASSERT_ERR(dmabuf_sync_lock_timeout(r.next, 20000), EOWNERDEAD);
	close(r.owner.socket);
	close(r.owner.fd);
	rig_end(&r);
}

TEST(E4_a_lock_waits_for_another_processs_fence_too)
{
	struct dma_buf *dmabuf;
	struct dma_fence *remote, *fence;
	struct dmabuf_sync *sync;
	struct owner owner = { 0 };

	owner_start(&owner);
	remote = dmabuf_sync_file_get_fence(owner.fd);
	ASSERT(remote);
	dmabuf = buffer_new("frame");
	sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock_after(sync, &remote, 1, 40000, &fence));
	still_waits(fence);
	owner_do(&owner, 's');
	take(sync, fence);
	dma_fence_put(remote);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	owner_end(&owner);
}

struct waiter {
	int socket;
	int other;
};

static int waits_for_a_grant(void *arg)
{
	struct waiter *w = arg;
	int fd;

	close(w->other);
	recv_fds(w->socket, &fd, 1);
	tell(w->socket, 'r');
	ASSERT_EQ(ended_with(fd), 1);
	tell(w->socket, 'd');
	close(fd);
	close(w->socket);
	return 0;
}

TEST(E5_a_grant_can_be_waited_for_in_another_process)
{
	struct dmabuf_sync *holder, *sync;
	struct dma_buf *dmabuf;
	struct dma_fence *fence;
	struct waiter w;
	int sockets[2], fd;
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, sockets);
	w = (struct waiter){ sockets[1], sockets[0] };
	pid = spawn(waits_for_a_grant, &w);
	close(sockets[1]);
	dmabuf = buffer_new("frame");
	holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	sync = sync_of("sync", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(holder));
	fence = ask(sync, 40000);
	fd = dmabuf_sync_file_create(fence, NULL);
	ASSERT_OK(fd);
	send_fds(sockets[0], &fd, 1);
	ASSERT_EQ(hear(sockets[0]), 'r');
	ASSERT(!readable(sockets[0], 0));
	ASSERT_OK(dmabuf_sync_unlock(holder));
	ASSERT_EQ(hear(sockets[0]), 'd');
	take(sync, fence);
	ASSERT_EQ(reap(pid), 0);
	close(sockets[0]);
	close(fd);
	dmabuf_sync_fini(holder);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
