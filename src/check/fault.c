// SPDX-License-Identifier: MIT
/* The handler of SIGSEGV: a touch that the rules do not allow is told; all else is handed on. */
#include "check/check.h"

#include <errno.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "process.h"

/* What an instruction was about to do; the processor may not say it. */
enum touch { TOUCH_UNKNOWN, TOUCH_READ, TOUCH_WRITE };

static struct sigaction previous;

/* A touch that was allowed when it was looked at, so that it was tried again; with the lock. */
static struct {
	pid_t tid;
	const void *address;
	const void *caller;
} again;

#if defined(__x86_64__)

static enum touch touch_of(const ucontext_t *context)
{
	return context->uc_mcontext.gregs[REG_ERR] & 2 ? TOUCH_WRITE : TOUCH_READ;
}

static uintptr_t instruction_of(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

#elif defined(__aarch64__)

/* "Write, not read", of the syndrome that the kernel puts behind the registers. */
#define SYNDROME_WRITES (1u << 6)

static enum touch touch_of(const ucontext_t *context)
{
	const unsigned char *at = context->uc_mcontext.__reserved;
	const unsigned char *end = at + sizeof(context->uc_mcontext.__reserved);

	while (at + sizeof(struct esr_context) <= end) {
		const struct _aarch64_ctx *head = (const void *)at;

		if (!head->magic || !head->size)
			break;
		if (head->magic == ESR_MAGIC)
			return ((const struct esr_context *)head)->esr & SYNDROME_WRITES
				       ? TOUCH_WRITE
				       : TOUCH_READ;
		at += head->size;
	}
	return TOUCH_UNKNOWN;
}

static uintptr_t instruction_of(const ucontext_t *context)
{
	return context->uc_mcontext.pc;
}

#else

static enum touch touch_of(const ucontext_t *context)
{
	return TOUCH_UNKNOWN;
}

static uintptr_t instruction_of(const ucontext_t *context)
{
	return 0;
}

#endif

static struct check_range *range_of(struct check_buffer *c, const char *address)
{
	struct dmabuf_list *link;

	for (link = c->ranges.next; link != &c->ranges; link = link->next) {
		struct check_range *r = container_of(link, struct check_range, link);

		if (address >= r->base && address < r->base + r->length)
			return r;
	}
	return NULL;
}

/* With the lock. NULL: not ours. */
static struct check_buffer *buffer_of(const char *address, struct check_range **range)
{
	struct dmabuf_list *link;

	for (link = check_buffers.next; link != &check_buffers; link = link->next) {
		struct check_buffer *c = container_of(link, struct check_buffer, link);

		*range = range_of(c, address);
		if (*range)
			return c;
	}
	return NULL;
}

static const struct check_access *nearest(const struct check_buffer *c, size_t offset, bool device)
{
	const struct check_access *best = NULL;
	const struct dmabuf_list *link;
	size_t least = SIZE_MAX;

	for (link = c->accesses.next; link != &c->accesses; link = link->next) {
		const struct check_access *a =
			container_of((struct dmabuf_list *)link, struct check_access, link);
		size_t away = offset < a->start		   ? a->start - offset
			      : offset - a->start < a->len ? 0
							   : offset - a->start - a->len + 1;

		if (a->device != device || away >= least)
			continue;
		best = a;
		least = away;
	}
	return best && (!device || !least) ? best : NULL;
}

/* Why it is not allowed: the rule, and the rest of the sentence. */
static enum dma_buf_check_rule explain(const struct check_buffer *c, const struct check_range *r,
				       size_t offset, bool write, struct check_text *t)
{
	const struct check_access *access = nearest(c, offset, true);
	int prot = check_allowed(c, offset);

	if (prot & PROT_READ && write) {
		check_say(t, prot & PROT_WRITE ? "through a mapping that was made to read only"
					       : "in an access that is to read only: ");
		access = nearest(c, offset, false);
		if (!(prot & PROT_WRITE) && access)
			check_say_access(t, access);
		return DMA_BUF_CHECK_DIRECTION;
	}
	if (access) {
		check_say(t, "outside of any CPU access, while ");
		check_say_access(t, access);
		return DMA_BUF_CHECK_OWNER;
	}
	access = nearest(c, offset, false);
	if (access && access->lost) {
		check_say(t, "after the lock that was for it had been lost to its lease: ");
		check_say_access(t, access);
		(void)check_say_holder(t, c->b, write);
		return DMA_BUF_CHECK_OWNER;
	}
	check_say(t, "outside of any CPU access");
	if (check_say_holder(t, c->b, write) || check_say_mapped(t, c->b, write))
		return DMA_BUF_CHECK_OWNER;
	if (access) {
		check_say(t, "; open is ");
		check_say_access(t, access);
	}
	return DMA_BUF_CHECK_OUTSIDE;
}

static void describe(struct dma_buf_check_report *report, struct check_text *t,
		     const struct check_buffer *c, const struct check_range *r)
{
	const char *address = report->address;
	size_t offset = r->offset + (size_t)(address - r->base);
	const void *caller = report->caller;
	bool write = report->write;

	check_describe(report, t, c->b);
	report->touched = true;
	report->write = write;
	report->address = address;
	report->caller = caller;
	report->offset = offset;
	report->length = 1;
	check_say(t, write ? "wrote at offset " : "read at offset ");
	check_say_number(t, offset);
	check_say(t, " (");
	check_say_hex(t, (uintptr_t)address);
	check_say(t, ") ");
	report->rule = explain(c, r, offset, write, t);
}

/* Allowed meanwhile, by another thread's begin? Tried again, but not for ever. With the lock. */
static bool try_again(const struct check_buffer *c, const struct check_range *r, int prot,
		      const struct dma_buf_check_report *report)
{
	size_t offset = r->offset + (size_t)((const char *)report->address - r->base);
	pid_t tid = gettid();

	if (again.tid == tid && again.address == report->address && again.caller == report->caller)
		return false;
	again.tid = tid;
	again.address = report->address;
	again.caller = report->caller;
	return check_protect_page(c, r, offset, prot);
}

/* 1: the instruction may go on; 0: it may not; -1: not ours. */
static int look(struct dma_buf_check_report *report, struct check_text *t, enum touch touch)
{
	struct check_range *r;
	struct check_buffer *c = buffer_of(report->address, &r);
	size_t offset;
	int prot, need;

	if (!c)
		return -1;
	offset = r->offset + (size_t)((const char *)report->address - r->base);
	/* Of a parent's, in a child that ran no fork handler; or nothing is kept up. */
	if (c->cookie != process_cookie() || c->given_up)
		return check_protect_page(c, r, offset, r->most) ? 1 : -1;
	prot = check_allowed(c, offset) & r->most;
	need = touch == TOUCH_WRITE ? PROT_WRITE : PROT_READ;
	if ((prot & need) && (touch != TOUCH_UNKNOWN || prot == r->most) &&
	    try_again(c, r, prot, report))
		return 1;
	/* What can be read faults for a write only. */
	report->write = touch == TOUCH_WRITE || (prot & PROT_READ);
	describe(report, t, c, r);
	if (!check_goes_on() || (report->write && !(r->most & PROT_WRITE)))
		return 0;
	return check_protect_page(c, r, offset, r->most) ? 1 : 0;
}

static bool handle(const siginfo_t *info, const ucontext_t *context)
{
	struct dma_buf_check_report report = {
		.address = info->si_addr,
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): a register */
		.caller = (const void *)instruction_of(context),
	};
	struct check_text t;
	sigset_t old;
	int ret;

	check_lock(&old);
	ret = look(&report, &t, touch_of(context));
	check_unlock(&old);
	/* Nobody described it: there is nothing to tell. */
	if (!report.size)
		return ret == 1;
	check_say_place(&t, report.caller);
	check_deliver(&report);
	return ret == 1;
}

static void hand_on(int sig, siginfo_t *info, void *context)
{
	struct sigaction nothing = { .sa_handler = SIG_DFL };

	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(sig, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(sig);
	} else if (info->si_code > 0 || previous.sa_handler == SIG_DFL) {
		/* Back to the instruction, which ends the process; or so does what was sent. */
		sigaction(SIGSEGV, &nothing, NULL);
		if (info->si_code <= 0)
			raise(SIGSEGV);
	}
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	int err = errno;

	if (info->si_code != SEGV_ACCERR || !handle(info, context))
		hand_on(sig, info, context);
	errno = err;
}

void check_catch_faults(void)
{
	struct sigaction ours = { .sa_sigaction = on_fault };

	/* First what was there: from the next line on it may be needed. */
	sigaction(SIGSEGV, NULL, &previous);
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous.sa_flags & (SA_NODEFER | SA_RESTART));
	ours.sa_mask = previous.sa_mask;
	sigaction(SIGSEGV, &ours, NULL);
}
