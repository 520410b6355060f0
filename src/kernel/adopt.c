// SPDX-License-Identifier: MIT
/*
 * A kernel dma-buf becomes a buffer: its state is in a companion control memfd, which is looked for
 * and made if there is none, and the handle is then made as for any split buffer.
 */
#include "kernel/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "export.h"
#include "kernel/dmabuf.h"
#include "kernel/rendezvous.h"
#include "registry.h"

bool kernel_payload_key(int payload_fd, struct buffer_key *key)
{
	struct stat st;

	if (payload_fd < 0 || !kernel_is_dmabuf(payload_fd) || fstat(payload_fd, &st) < 0)
		return false;
	key->device = st.st_dev;
	key->inode = st.st_ino;
	return true;
}

bool kernel_same_state(const struct buffer *b, int fd)
{
	struct stat known, other;

	return fstat(b->client.fd, &known) == 0 && fstat(fd, &other) == 0 &&
	       known.st_dev == other.st_dev && known.st_ino == other.st_ino;
}

/*
 * This process has it already: @found has one more reference, or @control is a descriptor of the
 * state of one that is about to go, with which it is waked up.
 */
static void find_own(const struct kernel_facts *facts, struct buffer **found, int *control)
{
	struct buffer_key key = { .device = facts->device, .inode = facts->inode };
	struct buffer *b;

	registry_lock();
	b = registry_find(&key);
	if (b && b->zombie)
		*control = client_reopen(b->client.fd);
	else if (b)
		b->refs++;
	*found = b && !b->zombie ? b : NULL;
	registry_unlock();
}

int kernel_own_state(const struct kernel_facts *facts)
{
	struct buffer_key key = { .device = facts->device, .inode = facts->inode };
	struct buffer *b;
	int fd = -ENOENT;

	registry_lock();
	b = registry_find(&key);
	if (b)
		fd = client_reopen(b->client.fd);
	registry_unlock();
	return fd < 0 ? -ENOENT : fd;
}

/* A fresh state is ours alone, and @claim says so meanwhile. */
static int find_state(int fd, unsigned int flags, const struct kernel_facts *facts,
		      struct kernel_claim *claim)
{
	return flags & DMA_BUF_ADOPT_PRIVATE ? kernel_state_new(facts, 0)
					     : kernel_rendezvous(fd, facts, claim);
}

static struct dma_buf *fail(int err)
{
	errno = -err;
	return NULL;
}

/* The handle of that state, or of another that came to be while it was on its way. */
static struct dma_buf *settle(int fd, int shown, const struct kernel_facts *facts, int control)
{
	struct dma_buf *dmabuf;
	uint32_t number;

	do {
		dmabuf = buffer_get_owned(control, shown, fd, -1);
		number = dmabuf ? kernel_served(to_buffer(dmabuf)) : 0;
		if (!number)
			return dmabuf;
		control = kernel_rendezvous_other(fd, facts, number);
		if (control)
			dma_buf_put(dmabuf);
	} while (control > 0);
	return control ? fail(control) : dmabuf;
}

static struct dma_buf *adopt(int fd, int shown, unsigned int flags,
			     const struct kernel_facts *facts)
{
	struct kernel_claim claim = { .socket.fd = -1 };
	struct buffer *known = NULL;
	struct dma_buf *dmabuf;
	int control = -1, err;

	find_own(facts, &known, &control);
	if (known)
		return &known->base;
	if (control < 0)
		control = find_state(fd, flags, facts, &claim);
	if (control < 0)
		return fail(control);
	/* What is claimed was looked for others already. */
	dmabuf = claim.socket.fd < 0 ? settle(fd, shown, facts, control)
				     : buffer_get_owned(control, shown, fd, -1);
	err = errno;
	kernel_claim_drop(&claim);
	errno = err;
	return dmabuf;
}

struct dma_buf *kernel_adopt(int fd, int shown, unsigned int flags)
{
	struct kernel_facts facts;
	struct dma_buf *dmabuf = NULL;
	int err = kernel_describe(fd, shown, &facts);

	if (err)
		errno = -err;
	else
		dmabuf = adopt(fd, shown, flags, &facts);
	err = errno;
	close(fd);
	errno = err;
	return dmabuf;
}

DMABUF_PUBLIC struct dma_buf *dma_buf_adopt(int fd, unsigned int flags)
{
	int own;

	if (flags & ~DMA_BUF_ADOPT_PRIVATE)
		return dmabuf_fail_ptr(EINVAL,
				       "adopt flags 0x%x: only DMA_BUF_ADOPT_PRIVATE is "
				       "known",
				       flags);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return dmabuf_fail_ptr(errno, "descriptor %d: %s", fd, strerror(errno));
	if (kernel_is_dmabuf(own))
		return kernel_adopt(own, fd, flags);
	close(own);
	return dmabuf_fail_ptr(EINVAL, "descriptor %d is no kernel dma-buf", fd);
}
