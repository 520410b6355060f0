// SPDX-License-Identifier: MIT
/*
 * Death is not quiescence: a thread of a killed process that waits in the kernel for a read is gone
 * only when the read has been answered, and written into the buffer. The file's server is the test.
 */
#include <dmabuf.h>

#include <pthread.h>

#include "fuse-file.h"
#include "sync.h"

struct reading {
	struct fuse_file *file;
	bool direct;
};

struct thread_job {
	int fd;
	void *to;
};

static void *read_into_the_buffer(void *arg)
{
	const struct thread_job *job = arg;

	(void)!pread(job->fd, job->to, 4096, 0);
	return NULL;
}

static int read_in_a_thread(struct peer *peer, struct dma_buf *dmabuf)
{
	const struct reading *reading = peer->arg;
	struct dmabuf_sync *sync = sync_of("reader", dmabuf, DMA_BUF_ACCESS_W);
	struct thread_job job = { reading->file->fd, dma_buf_vmap(dmabuf) };
	pthread_t thread;

	ASSERT(job.to);
	if (reading->direct && fcntl(job.fd, F_SETFL, O_DIRECT))
		return 1;
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_EQ(pthread_create(&thread, NULL, read_into_the_buffer, &job), 0);
	peer_tell(peer);
	pthread_join(thread, NULL);
	peer_wait(peer);
	return 1;
}

static bool read_is_asked_for(void *arg)
{
	struct fuse_file *f = arg;

	return atomic_load(&f->arrived) > 0;
}

static void killed_while_a_thread_reads(bool direct)
{
	struct fuse_file *f = fuse_file_open();
	struct reading reading = { f, direct };
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	unsigned char *at = dma_buf_vmap(dmabuf);
	struct peer peer;
	int i;

	ASSERT(at);
	memset(f->data, 'n', 4096);
	memset(at, 'o', 4096);
	atomic_store(&f->hold, true);
	peer_start(&peer, dmabuf, read_in_a_thread, &reading);
	peer_wait(&peer);
	ASSERT(eventually(read_is_asked_for, f, 20000));
	kill(peer.pid, SIGKILL);
	/* Not granted, by no way to ask for it, as long as the read may be written. */
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 300), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "reader");
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	ASSERT_EQ(at[0], 'o');
	fuse_file_release(f);
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	/* Ours alone: what we write stays. */
	memset(at, 'm', 4096);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	for (i = 0; i < 4096; i++)
		ASSERT_EQ(at[i], 'm');
	ASSERT_OK(dmabuf_sync_unlock(mine));
	close(peer.socket);
	dma_buf_vunmap(dmabuf, at);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
	fuse_file_close(f);
}

TEST(D5_a_killed_process_keeps_the_buffer_until_a_read_in_the_kernel_has_ended)
{
	killed_while_a_thread_reads(false);
}

TEST(D5_a_killed_process_keeps_the_buffer_until_a_direct_read_has_ended)
{
	killed_while_a_thread_reads(true);
}
