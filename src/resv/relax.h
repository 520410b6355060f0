/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_RESV_RELAX_H
#define DMABUF_RESV_RELAX_H

/* In a loop that waits for another processor. */
static inline void resv_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
