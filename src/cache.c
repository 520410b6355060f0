// SPDX-License-Identifier: MIT
#include "cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "error.h"

#define LINE_SIZE_DEFAULT 64

#if defined(__x86_64__)
#include <cpuid.h>

enum feature {
	PROBED = 1,
	HAS_CLFLUSH = 2,
	HAS_CLFLUSHOPT = 4,
	HAS_CLWB = 8,
};

#define LEAF1_EDX_CLFSH (1u << 19)
#define LEAF7_EBX_CLFLUSHOPT (1u << 23)
#define LEAF7_EBX_CLWB (1u << 24)

/* Features in the low byte, the line size above them. Asking the processor traps in a guest. */
static unsigned int probe(void)
{
	static atomic_uint known;
	unsigned int found = atomic_load_explicit(&known, memory_order_relaxed);
	unsigned int eax, ebx, ecx, edx;

	if (found)
		return found;
	found = PROBED;
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (edx & LEAF1_EDX_CLFSH)) {
		/* Bits 15 to 8 count units of 8 bytes. */
		found |= HAS_CLFLUSH | ((ebx >> 8 & 0xff) * 8) << 8;
		if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
			if (ebx & LEAF7_EBX_CLFLUSHOPT)
				found |= HAS_CLFLUSHOPT;
			if (ebx & LEAF7_EBX_CLWB)
				found |= HAS_CLWB;
		}
	}
	atomic_store_explicit(&known, found, memory_order_relaxed);
	return found;
}

static size_t probe_line_size(void)
{
	return probe() >> 8;
}

bool cache_supported(void)
{
	return probe() & HAS_CLFLUSH;
}

/* The assembler knows the instructions even where the compiler is not told to use them. */
static void maintain(enum dma_buf_cache_op op, char *from, const char *to, size_t step)
{
	unsigned int has = probe();

	/* Fences, because clwb and clflushopt are ordered neither with loads nor with each other.
	 */
	__asm__ volatile("mfence" ::: "memory");
	if (op == DMA_BUF_CACHE_CLEAN && (has & HAS_CLWB)) {
		for (; from < to; from += step)
			__asm__ volatile("clwb %0" : "+m"(*from));
	} else if (has & HAS_CLFLUSHOPT) {
		for (; from < to; from += step)
			__asm__ volatile("clflushopt %0" : "+m"(*from));
	} else {
		for (; from < to; from += step)
			__asm__ volatile("clflush %0" : "+m"(*from));
	}
	__asm__ volatile("mfence" ::: "memory");
}

#elif defined(__aarch64__)

static size_t probe_line_size(void)
{
	uint64_t ctr;

	/* DminLine: the smallest data line of all levels, as the logarithm of 4-byte words. */
	__asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
	return (size_t)4 << (ctr >> 16 & 0xf);
}

bool cache_supported(void)
{
	return true;
}

static void maintain(enum dma_buf_cache_op op, char *from, const char *to, size_t step)
{
	__asm__ volatile("dsb sy" ::: "memory");
	if (op == DMA_BUF_CACHE_CLEAN) {
		for (; from < to; from += step)
			__asm__ volatile("dc cvac, %0" : : "r"(from) : "memory");
	} else {
		for (; from < to; from += step)
			__asm__ volatile("dc civac, %0" : : "r"(from) : "memory");
	}
	__asm__ volatile("dsb sy" ::: "memory");
}

#else

static size_t probe_line_size(void)
{
	return 0;
}

bool cache_supported(void)
{
	return false;
}

static void maintain(enum dma_buf_cache_op op, char *from, const char *to, size_t step)
{
}

#endif

size_t cache_line_size(void)
{
	size_t size = probe_line_size();

	return size != 0 && (size & (size - 1)) == 0 ? size : LINE_SIZE_DEFAULT;
}

int cache_sync(enum dma_buf_cache_op op, void *addr, size_t len)
{
	size_t line = cache_line_size();
	uintptr_t end;

	if (op < DMA_BUF_CACHE_CLEAN || op > DMA_BUF_CACHE_FLUSH)
		return dmabuf_fail(EINVAL, "cache operation %d is none of clean, invalidate, flush",
				   (int)op);
	if (!addr || __builtin_add_overflow((uintptr_t)addr, len, &end))
		return dmabuf_fail(EINVAL, "cache maintenance of %zu bytes at %p: no such memory",
				   len, addr);
	if (len == 0)
		return 0;
	if (!cache_supported())
		return dmabuf_fail(EOPNOTSUPP,
				   "this processor lets no process maintain its caches; a "
				   "non-coherent device needs an exporter with cache_sync here");
	maintain(op, (char *)addr - ((uintptr_t)addr & (line - 1)), (char *)addr + len, line);
	return 0;
}
