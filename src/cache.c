// SPDX-License-Identifier: MIT
#include "cache.h"

#include <errno.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <emmintrin.h>

bool cache_supported(void)
{
	return true;
}

size_t cache_line_size(void)
{
	return 64;
}

int cache_sync(enum dma_buf_cache_op op, void *addr, size_t len)
{
	uintptr_t line = (uintptr_t)addr & ~(uintptr_t)63;

	(void)op;
	_mm_mfence();
	for (; line < (uintptr_t)addr + len; line += 64)
		_mm_clflush((void *)line);
	_mm_mfence();
	return 0;
}

#else

bool cache_supported(void)
{
	return false;
}

size_t cache_line_size(void)
{
	return 64;
}

int cache_sync(enum dma_buf_cache_op op, void *addr, size_t len)
{
	(void)op;
	(void)addr;
	(void)len;
	return -EOPNOTSUPP;
}

#endif
