// SPDX-License-Identifier: MIT
/* The CPU's own cache maintenance, on real memory. */
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache.h"
#include "harness.h"

#define SIZE 65536

static const enum dma_buf_cache_op all_ops[] = {
	DMA_BUF_CACHE_CLEAN,
	DMA_BUF_CACHE_INVALIDATE,
	DMA_BUF_CACHE_FLUSH,
};

static unsigned char pattern(size_t i, unsigned int round)
{
	return (unsigned char)(i * 7 + (i >> 8) + round);
}

TEST(C3_cache_line_size_is_a_power_of_two)
{
	size_t line = cache_line_size();

	ASSERT(line >= 16 && line <= 4096);
	ASSERT_EQ(line & (line - 1), 0);
#ifdef _SC_LEVEL1_DCACHE_LINESIZE
	if (sysconf(_SC_LEVEL1_DCACHE_LINESIZE) > 0)
		ASSERT(line <= (size_t)sysconf(_SC_LEVEL1_DCACHE_LINESIZE));
#endif
}

TEST(C3_cache_operations_change_no_bytes)
{
	unsigned char *p =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!cache_supported())
		SKIP("no cache maintenance on this processor");
	ASSERT(p != MAP_FAILED);
	for (unsigned int round = 0; round < 3; round++) {
		for (size_t i = 0; i < SIZE; i++)
			p[i] = pattern(i, round);
		ASSERT_OK(cache_sync(all_ops[round], p, SIZE));
		for (size_t i = 0; i < SIZE; i++)
			ASSERT(p[i] == pattern(i, round));
	}
	munmap(p, SIZE);
}

/* A page without access before and after: an instruction beyond the lines in question would fault.
 */
TEST(C3_cache_operations_stay_within_the_lines_they_were_given)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t line = cache_line_size();
	char *p = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *middle = p + page;

	if (!cache_supported())
		SKIP("no cache maintenance on this processor");
	ASSERT(p != MAP_FAILED);
	ASSERT_EQ(mprotect(middle, page, PROT_READ | PROT_WRITE), 0);
	memset(middle, 1, page);
	for (unsigned int i = 0; i < 3; i++) {
		ASSERT_OK(cache_sync(all_ops[i], middle, page));
		ASSERT_OK(cache_sync(all_ops[i], middle + 1, 1));
		ASSERT_OK(cache_sync(all_ops[i], middle + page - 1, 1));
		ASSERT_OK(cache_sync(all_ops[i], middle + page - line, line));
		ASSERT_OK(cache_sync(all_ops[i], middle + 3, page - 3));
		ASSERT_OK(cache_sync(all_ops[i], p + 1, 0));
	}
	munmap(p, 3 * page);
}

TEST(C3_cache_operations_refuse_what_makes_no_sense)
{
	char byte = 0;

	ASSERT_ERR(cache_sync(0, &byte, 1), EINVAL);
	ASSERT_ERR(cache_sync(4, &byte, 1), EINVAL);
	ASSERT_ERR(cache_sync(INT_MAX, &byte, 1), EINVAL);
	ASSERT_ERR(cache_sync(DMA_BUF_CACHE_CLEAN, NULL, 1), EINVAL);
	ASSERT_ERR(cache_sync(DMA_BUF_CACHE_CLEAN, &byte, SIZE_MAX), EINVAL);
}

TEST(C3_cache_operations_are_refused_where_the_processor_has_none)
{
	char byte = 0;

	if (cache_supported())
		SKIP("this processor has them");
	ASSERT_ERR(cache_sync(DMA_BUF_CACHE_FLUSH, &byte, 1), EOPNOTSUPP);
}
