/* SPDX-License-Identifier: MIT */
/* Processes that do something together, and memory that they share. */
#ifndef DMABUF_BENCH_TEAM_H
#define DMABUF_BENCH_TEAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Zeroed pages that processes forked afterwards share. */
void *team_memory(size_t size);
void team_forget(void *memory, size_t size);

/* A process that runs @body and ends. It dies with this one. */
pid_t team_fork(void (*body)(unsigned int self), unsigned int self);
/* Until it has ended, without an error; or, if @killed, by a signal. */
void team_wait(pid_t pid, bool killed);
/* So many of them, numbered from 0, until all have ended. */
void team_run(unsigned int count, void (*body)(unsigned int self));

/* Until so many processes are here. Each place serves once. */
void team_meet(_Atomic(uint32_t) *place, uint32_t count);

/* Until @pid sleeps in the kernel, as the kernel says. */
void team_until_asleep(pid_t pid);

/* Stay awake for so long. Returns the time. */
double team_busy(double from_ns, double for_ns);

#endif
