/* SPDX-License-Identifier: MIT */
/* The processor's single steps: after each instruction a function of the test's runs. x86-64 only.
 */
#ifndef DMABUF_TEST_STEP_H
#define DMABUF_TEST_STEP_H

#include <signal.h>
#include <ucontext.h>

#include "harness.h"

/* More than any test here needs: then it goes on without steps. */
#define STEP_MOST 1000000

static long step_count;
static void (*step_func)(void);

#ifdef __x86_64__
#define STEP_TRAP_FLAG 0x100ll

static inline long long *step_flags(void *context)
{
	return &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
}
#endif

static inline void step_taken(int signal, siginfo_t *info, void *context)
{
	if (step_func)
		step_func();
#ifdef __x86_64__
	if (++step_count > STEP_MOST)
		*step_flags(context) &= ~STEP_TRAP_FLAG;
#endif
}

static inline void step_switched(int signal, siginfo_t *info, void *context)
{
#ifdef __x86_64__
	*step_flags(context) ^= STEP_TRAP_FLAG;
#endif
}

/* @func: or NULL, to count only. Skips the test where it cannot be done. */
static inline void step_prepare(void (*func)(void))
{
	struct sigaction taken = { .sa_sigaction = step_taken, .sa_flags = SA_SIGINFO };
	struct sigaction switched = { .sa_sigaction = step_switched, .sa_flags = SA_SIGINFO };

#ifndef __x86_64__
	SKIP("single steps are known for x86-64 only");
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
	SKIP("ThreadSanitizer's atomics are calls that a handler must not come into");
#endif
#endif
	if (test_is_slow())
		SKIP("valgrind has no single steps");
	step_func = func;
	step_count = 0;
	ASSERT_OK(sigaction(SIGTRAP, &taken, NULL));
	ASSERT_OK(sigaction(SIGUSR1, &switched, NULL));
}

/* On, or off again. It takes some steps itself. */
static inline void step_switch(void)
{
	raise(SIGUSR1);
}

#endif
