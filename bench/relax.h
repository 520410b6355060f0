/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_BENCH_RELAX_H
#define DMABUF_BENCH_RELAX_H

/* In a loop that waits for another processor. */
static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
