/* SPDX-License-Identifier: MIT */
/* A buffer with its control block laid open, as one who shares it sees it. */
#ifndef DMABUF_TEST_FORGED_H
#define DMABUF_TEST_FORGED_H

#include "hostile.h"
#include "shm/layout.h"

struct forged {
	int fd;
	char *base;
	size_t size;
	struct shm_header *header;
	struct shm_attachment *attachments;
	struct shm_resv *resv;
};

static HOSTILE_UNUSED void forged_map(struct forged *f)
{
	char *end;

	f->base = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	HOSTILE_CHECK(f->base != MAP_FAILED);
	end = f->base + f->size;
	f->header = (struct shm_header *)(end - SHM_HEADER_SIZE);
	f->attachments = (struct shm_attachment *)(end - SHM_HEADER_SIZE - SHM_LIST_SIZE);
	f->resv = (struct shm_resv *)(end - SHM_RESV_OFFSET);
}

static HOSTILE_UNUSED void forged_new(struct forged *f, const char *bytes, size_t size)
{
	f->size = size;
	f->fd = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	forged_map(f);
}

/* A buffer of this process, seen as its attacker sees it. */
static HOSTILE_UNUSED void forged_view(struct forged *f, struct dma_buf *dmabuf)
{
	struct stat st;

	f->fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	HOSTILE_CHECK(f->fd >= 0);
	HOSTILE_CHECK(fstat(f->fd, &st) == 0);
	f->size = (size_t)st.st_size;
	forged_map(f);
}

static HOSTILE_UNUSED void forged_free(struct forged *f)
{
	munmap(f->base, f->size);
	close(f->fd);
}

#endif
