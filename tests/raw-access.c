// SPDX-License-Identifier: MIT
/*
 * Raw access for importers that map for themselves: row C2.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"

TEST(C2_a_raw_table_describes_the_memory_and_no_device)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 100001, O_RDWR);
	struct dma_buf_sg_table *table = dma_buf_get_scatterlist(dmabuf);
	char *bytes = dma_buf_vmap(dmabuf);
	struct dma_buf_scatterlist *sg;
	uint64_t at = 0;
	unsigned int i;

	ASSERT(table);
	ASSERT_EQ(table->nents, 0);
	dma_buf_for_each_sg(table, sg, i) {
		ASSERT_EQ(sg->offset, at);
		ASSERT((char *)sg->vaddr == bytes + at);
		ASSERT_EQ(sg->dma_length, 0);
		at += sg->length;
	}
	ASSERT_EQ(at, 100001);
	ASSERT_EQ(dma_buf_sg_length(table), 0);
	dma_buf_put_scatterlist(dmabuf, table);
	dma_buf_put_scatterlist(dmabuf, NULL);
	ASSERT_ERRNO(dma_buf_get_scatterlist(NULL), EINVAL);
	dma_buf_put(dmabuf);
}

/* Sanitizers make mlock() do nothing, and then pages are not there. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NO_MLOCK 1
#endif
#endif
#if defined(NO_MLOCK) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NEEDS_MLOCK() SKIP("a sanitizer has switched mlock() off")
#else
#define NEEDS_MLOCK()
#endif

static struct dma_buf_pfns *frames(struct dma_buf *dmabuf)
{
	struct dma_buf_pfns *pfns;

	NEEDS_MLOCK();
	pfns = dma_buf_get_pfns(dmabuf);
	if (!pfns && errno == EPERM)
		SKIP("this process may not read frame numbers");
	if (!pfns && errno == ENOMEM)
		SKIP("this process may not lock memory");
	ASSERT(pfns);
	return pfns;
}

static int same_frames(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_pfns *mine = frames(dmabuf), *theirs = peer->arg;

	ASSERT_EQ(mine->count, theirs->count);
	ASSERT(!memcmp(mine->pfns, theirs->pfns, mine->count * sizeof(mine->pfns[0])));
	dma_buf_put_pfns(dmabuf, mine);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(C2_every_process_gets_the_same_page_frames)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), i, j;
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4 * page + 1, O_RDWR);
	struct dma_buf_pfns *pfns = frames(dmabuf), *again;
	struct peer peer;

	ASSERT_EQ(pfns->count, 5);
	for (i = 0; i < 5; i++) {
		ASSERT(pfns->pfns[i]);
		for (j = 0; j < i; j++)
			ASSERT(pfns->pfns[i] != pfns->pfns[j]);
	}
	peer_start(&peer, dmabuf, same_frames, pfns);
	peer_end(&peer);
	again = frames(dmabuf);
	dma_buf_put_pfns(dmabuf, pfns);
	dma_buf_put_pfns(dmabuf, again);
	dma_buf_put_pfns(dmabuf, NULL);
	ASSERT_ERRNO(dma_buf_get_pfns(NULL), EINVAL);
	dma_buf_put(dmabuf);
}

TEST(C2_pages_stay_locked_until_the_last_put)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 65536, O_RDWR);
	struct dma_buf_pfns *one = frames(dmabuf), *two = frames(dmabuf);

	ASSERT_EQ(locked_kb(), 64);
	dma_buf_put_pfns(dmabuf, one);
	ASSERT_EQ(locked_kb(), 64);
	dma_buf_put_pfns(dmabuf, two);
	ASSERT_EQ(locked_kb(), 0);
	dma_buf_put(dmabuf);
}

/* A process without rights, whose own /proc files are its own. */
static void drop_rights(void)
{
	if (geteuid() == 0 && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
		SKIP("cannot drop root");
	ASSERT_OK(prctl(PR_SET_DUMPABLE, 1));
}

static int without_rights(struct peer *peer, struct dma_buf *dmabuf)
{
	drop_rights();
	ASSERT_ERRNO(dma_buf_get_pfns(dmabuf), EPERM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "CAP_SYS_ADMIN");
	ASSERT_EQ(locked_kb(), 0);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(C2_without_the_right_frames_are_refused_by_name)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct peer peer;

	NEEDS_MLOCK();
	peer_start(&peer, dmabuf, without_rights, NULL);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

static int without_memory_to_lock(struct peer *peer, struct dma_buf *dmabuf)
{
	struct rlimit none = { 4096, 4096 };

	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &none));
	drop_rights();
	ASSERT_ERRNO(dma_buf_get_pfns(dmabuf), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "RLIMIT_MEMLOCK");
	dma_buf_put(dmabuf);
	return 0;
}

TEST(C2_too_little_memory_to_lock_is_told)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 65536, O_RDWR);
	struct peer peer;

	NEEDS_MLOCK();
	peer_start(&peer, dmabuf, without_memory_to_lock, NULL);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}
