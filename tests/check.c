// SPDX-License-Identifier: MIT
/*
 * Row C4: in checking mode, whoever touches a buffer against the rules is told at the instruction.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "deferred.h"

static size_t page;

__attribute__((constructor)) static void find_page(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
}

/* Processes that break a rule: what they did is in a file that their parent made. */

struct breach {
	void (*fn)(struct dma_buf *dmabuf);
	const char *words; /* of the environment, before log= */
	char path[64];
	char text[4096];
};

static int breach_main(void *arg)
{
	struct breach *breach = arg;
	struct dma_buf *dmabuf;
	char value[128];

	snprintf(value, sizeof(value), "%slog=%s", breach->words, breach->path);
	setenv("DMABUF_CHECK", value, 1);
	dmabuf = check_buffer(4 * page);
	breach->fn(dmabuf);
	dma_buf_put(dmabuf);
	return 0;
}

static int breach_run(struct breach *breach, pid_t *pid)
{
	int fd = memfd_create("reports", 0), status;

	ASSERT_OK(fd);
	snprintf(breach->path, sizeof(breach->path), "/proc/self/fd/%d", fd);
	*pid = spawn(breach_main, breach);
	status = reap(*pid);
	memset(breach->text, 0, sizeof(breach->text));
	ASSERT_OK(pread(fd, breach->text, sizeof(breach->text) - 1, 0));
	close(fd);
	return status;
}

static void named(const char *text, const char *before, long number, const char *after)
{
	char part[96];

	snprintf(part, sizeof(part), "%s%ld%s", before, number, after);
	ASSERT_STR_CONTAINS(text, part);
}

static void write_outside(struct dma_buf *dmabuf)
{
	prctl(PR_SET_NAME, "breaker");
	check_vmap(dmabuf)[page + 17] = 1;
}

TEST(C4_a_touch_outside_of_any_access_ends_the_process_and_is_told)
{
	struct breach breach = { .fn = write_outside, .words = "" };
	int status;
	pid_t pid;

	status = breach_run(&breach, &pid);
	/* Sanitizers have a handler that was there before. */
	ASSERT(TEST_SANITIZED ? status != 0 : status == 128 + SIGSEGV);
	ASSERT_STR_CONTAINS(breach.text, "dma-buf check: buffer \"frame\" (inode ");
	named(breach.text, "thread breaker (", pid, ") of process test-check (");
	named(breach.text, " of process test-check (", pid, ") ");
	named(breach.text, "wrote at offset ", (long)page + 17, " (0x");
	ASSERT_STR_CONTAINS(breach.text, "outside of any CPU access");
	ASSERT_STR_CONTAINS(breach.text, ", at test-check+0x");
	/* One line, whole. */
	ASSERT_EQ(strcspn(breach.text, "\n"), strlen(breach.text) - 1);
}

static void go_on_after(struct dma_buf *dmabuf)
{
	volatile unsigned char *bytes = check_vmap(dmabuf);

	bytes[0] = 1;
	bytes[2 * page] = 2;
	ASSERT_EQ(dma_buf_check_reports(), 2);
	ASSERT_EQ(bytes[0] + bytes[2 * page], 3);
}

TEST(C4_the_environment_can_let_touches_through)
{
	struct breach breach = { .fn = go_on_after, .words = "continue," };
	pid_t pid;

	ASSERT_EQ(breach_run(&breach, &pid), 0);
	ASSERT_STR_CONTAINS(breach.text, "wrote at offset 0 (");
	ASSERT_STR_CONTAINS(breach.text, "\ndma-buf check: buffer \"frame\"");
	named(breach.text, "wrote at offset ", 2 * (long)page, " (0x");
}

TEST(C4_an_unknown_word_of_the_environment_is_told)
{
	struct breach breach = { .fn = go_on_after, .words = "1,stop,continue," };
	pid_t pid;

	ASSERT_EQ(breach_run(&breach, &pid), 0);
	ASSERT_STR_CONTAINS(breach.text, "has a word that is none of 1, continue, log=PATH\n");
	ASSERT_STR_CONTAINS(breach.text, "wrote at offset 0 (");
}

TEST(C4_off_is_off)
{
	static const char *const off[] = { "", "0" };

	for (size_t i = 0; i < 2; i++) {
		struct dma_buf *dmabuf;

		setenv("DMABUF_CHECK", off[i], 1);
		dmabuf = check_buffer(page);
		check_vmap(dmabuf)[0] = 1;
		ASSERT_EQ(dma_buf_check_reports(), 0);
		dma_buf_put(dmabuf);
	}
}

static void leave_open(struct dma_buf *dmabuf)
{
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 5, 10, DMA_TO_DEVICE));
	exit(0);
}

TEST(C4_an_access_that_is_open_when_the_program_ends_is_told)
{
	struct breach breach = { .fn = leave_open, .words = "" };
	pid_t pid;

	ASSERT_EQ(breach_run(&breach, &pid), 0);
	ASSERT_STR_CONTAINS(breach.text, "ends with CPU access to [5, +10) to write");
	ASSERT_STR_CONTAINS(breach.text, "begun by thread test-check (");
}

/* Touches in this process */

TEST(C4_reports_say_in_members_what_they_say_in_words)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;
	struct dma_buf_check_report *r = &kept.report;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(2 * page);
	bytes = check_vmap(dmabuf);
	bytes[page + 3] = 9;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT(r->touched && r->write);
	ASSERT_STR_EQ(r->name, "frame");
	ASSERT_EQ(r->inode, peer_info(dmabuf).inode);
	ASSERT_STR_EQ(r->process, "test-check");
	ASSERT_EQ(r->tid, syscall(SYS_gettid));
	ASSERT_EQ(r->offset, page + 3);
	ASSERT_EQ(r->length, 1);
	ASSERT(r->address == bytes + page + 3);
	ASSERT(r->caller);
	ASSERT_EQ(dma_buf_check_reports(), 1);
	/* Through once; the next access protects the page again. */
	bytes[page + 3] = 9;
	no_report();
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, page, 1, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, page, 1, DMA_FROM_DEVICE));
	ASSERT_EQ(bytes[page + 3], 9);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT(!r->write);
	dma_buf_put(dmabuf);
}

TEST(C4_a_write_in_an_access_to_read_is_told)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;
	const char *text;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(page);
	bytes = check_vmap(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 100, DMA_FROM_DEVICE));
	ASSERT_EQ(bytes[0], 0);
	no_report();
	bytes[7] = 1;
	text = only_report(DMA_BUF_CHECK_DIRECTION);
	ASSERT_STR_CONTAINS(text, "wrote at offset 7 (");
	ASSERT_STR_CONTAINS(text,
			    "to read only: CPU access to [0, +100) to read (DMA_FROM_DEVICE)");
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 100, DMA_TO_DEVICE));
	bytes[7] = 2;
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_TO_DEVICE));
	no_report();
	dma_buf_put(dmabuf);
}

TEST(C4_only_the_pages_of_the_range_are_accessible)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(8 * page);
	bytes = check_vmap(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 2 * page + 1, 2 * page, DMA_BIDIRECTIONAL));
	for (size_t i = 2; i < 5; i++)
		bytes[i * page] = 1;
	no_report();
	bytes[2 * page - 1] = 1;
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OUTSIDE), "; open is CPU access to [");
	bytes[5 * page] = 1;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 2 * page + 1, 2 * page, DMA_BIDIRECTIONAL));
	ASSERT_EQ(bytes[4 * page], 1);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	dma_buf_put(dmabuf);
}

TEST(C4_accesses_nest_overlap_and_count)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(4 * page);
	bytes = check_vmap(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 4 * page, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, page, page, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, page, page, DMA_TO_DEVICE));
	bytes[page] = 1;
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, page, page, DMA_TO_DEVICE));
	bytes[page] = (unsigned char)(bytes[0] + 2);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 4 * page, DMA_FROM_DEVICE));
	bytes[page] = 3;
	no_report();
	ASSERT_EQ(bytes[0], 0);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, page, page, DMA_TO_DEVICE));
	bytes[page] = 4;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	dma_buf_put(dmabuf);
}

TEST(C4_kmap_and_mmap_are_checked_like_vmap)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *pages, *mapped, *to_read;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(4 * page);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, page, page, DMA_TO_DEVICE));
	pages = dma_buf_kmap(dmabuf, 1);
	mapped = dma_buf_mmap(dmabuf, page, 2 * page, PROT_READ | PROT_WRITE);
	to_read = dma_buf_mmap(dmabuf, page, page, PROT_READ);
	ASSERT(pages && mapped && to_read);
	pages[0] = 1;
	mapped[1] = 2;
	ASSERT_EQ(to_read[0] + to_read[1], 3);
	no_report();
	mapped[page] = 1;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_EQ(kept.report.offset, 2 * page);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, page, page, DMA_TO_DEVICE));
	mapped[0] = 1;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_EQ(to_read[0], 1);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_OK(dma_buf_munmap((void *)mapped, 2 * page));
	/* What outlives the handle is nobody's to check. */
	dma_buf_put(dmabuf);
	ASSERT_EQ(to_read[0], 1);
	no_report();
	ASSERT_OK(dma_buf_munmap((void *)to_read, page));
}

static sigjmp_buf back;

static void leave(const struct dma_buf_check_report *report, void *data)
{
	*(enum dma_buf_check_rule *)data = report->rule;
	siglongjmp(back, 1);
}

TEST(C4_a_write_through_a_mapping_to_read_is_told_and_can_be_left)
{
	enum dma_buf_check_rule rule = 0;
	struct dma_buf_check_options options = { .size = sizeof(options),
						 .flags = DMA_BUF_CHECK_CONTINUE,
						 .report = leave,
						 .data = &rule };
	volatile unsigned char *bytes;
	struct dma_buf *dmabuf;

	ASSERT_OK(dma_buf_check_start(&options));
	dmabuf = check_buffer(page);
	bytes = dma_buf_mmap(dmabuf, 0, page, PROT_READ);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, page, DMA_BIDIRECTIONAL));
	if (!sigsetjmp(back, 1))
		bytes[0] = 1;
	ASSERT_EQ(rule, DMA_BUF_CHECK_DIRECTION);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, page, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_munmap((void *)bytes, page));
	dma_buf_put(dmabuf);
}

TEST(C4_a_lock_for_the_cpu_is_an_access)
{
	struct dmabuf_sync *sync;
	volatile unsigned char *bytes;
	struct dma_buf *dmabuf;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(page);
	bytes = check_vmap(dmabuf);
	sync = dmabuf_sync_init(NULL, "checked");
	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	for (int i = 0; i < 3; i++) {
		ASSERT_OK(dmabuf_sync_lock(sync));
		bytes[0]++;
		ASSERT_OK(dmabuf_sync_unlock(sync));
	}
	no_report();
	bytes[0] = 1;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true));
	ASSERT_EQ(bytes[0], 1);
	no_report();
	bytes[0] = 2;
	only_report(DMA_BUF_CHECK_DIRECTION);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	/* One for devices is none for the CPU. */
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_DMA_W, true));
	bytes[0] = 3;
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OWNER), "writes by DMA");
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	dmabuf_sync_put_all(sync);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static int holder(struct peer *peer, struct dma_buf *dmabuf)
{
	volatile unsigned char *bytes = check_vmap(dmabuf);

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, page, DMA_FROM_DEVICE));
	ASSERT_EQ(bytes[0], 5);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, page, DMA_FROM_DEVICE));
	no_report();
	ASSERT_EQ(bytes[0], 5);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(C4_read_only_shares_are_checked_at_both_ends)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;
	struct peer peer;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = dma_buf_alloc("share", page, O_RDONLY);
	ASSERT(dmabuf);
	bytes = check_vmap(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, page, DMA_TO_DEVICE));
	bytes[0] = 5;
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, page, DMA_TO_DEVICE));
	no_report();
	bytes[0] = 5;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	peer_start(&peer, dmabuf, holder, NULL);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

TEST(C4_storage_that_comes_late_and_moves_is_checked_where_it_is)
{
	struct dma_buf *dmabuf;
	volatile uint32_t *words;

	chunky_register();
	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = deferred_export(2 * CHUNK);
	write_pattern(dmabuf, 7);
	words = dma_buf_mmap(dmabuf, page, page, PROT_READ | PROT_WRITE);
	ASSERT(words);
	check_pattern(dmabuf, 7);
	ASSERT_OK(dma_buf_migrate(dmabuf, "chunky", 1000));
	check_pattern(dmabuf, 7);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, page, 4, DMA_TO_DEVICE));
	words[0] = 1;
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, page, 4, DMA_TO_DEVICE));
	no_report();
	words[0] = 2;
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_OK(dma_buf_munmap((void *)words, page));
	dma_buf_put(dmabuf);
	munmap(chunky, 4096);
}

/* Threads */

#define THREADS 4

struct crew {
	struct dma_buf *dmabuf;
	unsigned int number;
};

static void *work(void *arg)
{
	struct crew *me = arg;
	volatile unsigned char *bytes = check_vmap(me->dmabuf);
	size_t at = me->number * page / 2;

	for (int i = 0; i < 200; i++) {
		ASSERT_OK(dma_buf_begin_cpu_access(me->dmabuf, at, page, DMA_BIDIRECTIONAL));
		bytes[at + page / 2 + me->number]++;
		ASSERT_OK(dma_buf_end_cpu_access(me->dmabuf, at, page, DMA_BIDIRECTIONAL));
	}
	dma_buf_vunmap(me->dmabuf, (void *)bytes);
	return NULL;
}

TEST(C4_threads_with_overlapping_accesses_do_not_disturb_each_other)
{
	struct crew crew[THREADS];
	pthread_t threads[THREADS];
	struct dma_buf *dmabuf;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer((THREADS + 1) * page);
	for (unsigned int i = 0; i < THREADS; i++) {
		crew[i] = (struct crew){ dmabuf, i };
		ASSERT_EQ(pthread_create(&threads[i], NULL, work, &crew[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	no_report();
	dma_buf_put(dmabuf);
}

static void *touch(void *arg)
{
	prctl(PR_SET_NAME, "toucher");
	*(volatile unsigned char *)arg = 1;
	return (void *)syscall(SYS_gettid);
}

TEST(C4_the_thread_that_touched_is_named)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;
	pthread_t thread;
	void *tid;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(page);
	bytes = check_vmap(dmabuf);
	ASSERT_EQ(pthread_create(&thread, NULL, touch, (void *)bytes), 0);
	pthread_join(thread, &tid);
	ASSERT_STR_CONTAINS(only_report(DMA_BUF_CHECK_OUTSIDE), "thread toucher (");
	ASSERT_EQ(kept.report.tid, (pid_t)(intptr_t)tid);
	ASSERT_STR_EQ(kept.report.thread, "toucher");
	dma_buf_put(dmabuf);
}

/* Children */

static int child_of_two_mappings(void *arg)
{
	volatile unsigned char *inherited = ((void **)arg)[0], *own;
	struct dma_buf *dmabuf;

	/* The parent's own affair, and not to be checked here. */
	inherited[0] = 2;
	no_report();
	dmabuf = dma_buf_get(*(int *)((void **)arg)[1]);
	ASSERT(dmabuf);
	own = check_vmap(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE));
	ASSERT_EQ(own[0], 2);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE));
	no_report();
	ASSERT_EQ(own[0], 2);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	ASSERT_EQ(dma_buf_check_reports(), 1);
	dma_buf_put(dmabuf);
	/* The parent's, of which this process has a copy. */
	ASSERT_OK(dma_buf_munmap((void *)inherited, page));
	return 0;
}

TEST(C4_a_child_is_checked_for_itself)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;
	int fd;

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(page);
	bytes = dma_buf_mmap(dmabuf, 0, page, PROT_READ | PROT_WRITE);
	ASSERT(bytes);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	ASSERT_EQ(reap(spawn(child_of_two_mappings, (void *[]){ (void *)bytes, &fd })), 0);
	ASSERT_EQ(bytes[0], 2);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	close(fd);
	ASSERT_OK(dma_buf_munmap((void *)bytes, page));
	dma_buf_put(dmabuf);
}

/* What is not ours */

static volatile sig_atomic_t handed_on;

static void program_handler(int sig, siginfo_t *info, void *context)
{
	handed_on++;
	mprotect((void *)((uintptr_t)info->si_addr & ~(page - 1)), page, PROT_READ | PROT_WRITE);
}

TEST(C4_faults_elsewhere_go_to_the_programs_own_handler)
{
	struct sigaction action = { .sa_sigaction = program_handler, .sa_flags = SA_SIGINFO };
	struct dma_buf *dmabuf;
	volatile unsigned char *own;

	ASSERT_OK(sigaction(SIGSEGV, &action, NULL));
	check_start(0);
	dmabuf = check_buffer(page);
	own = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(own != MAP_FAILED);
	own[0] = 1;
	ASSERT_EQ(handed_on, 1);
	no_report();
	/* One that is told and not let through goes there as well. */
	check_vmap(dmabuf)[0] = 1;
	ASSERT_EQ(handed_on, 2);
	only_report(DMA_BUF_CHECK_OUTSIDE);
	munmap((void *)own, page);
	dma_buf_put(dmabuf);
}

static int fault_elsewhere(void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	check_start(DMA_BUF_CHECK_CONTINUE);
	if (arg)
		raise(SIGSEGV);
	else
		*(volatile int *)mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) =
			1;
	return 0;
}

TEST(C4_other_faults_end_the_process_as_ever)
{
	ASSERT_EQ(reap(spawn(fault_elsewhere, NULL)), 128 + SIGSEGV);
	ASSERT_EQ(reap(spawn(fault_elsewhere, &page)), 128 + SIGSEGV);
}

TEST(C4_the_kernel_itself_gets_EFAULT)
{
	struct dma_buf *dmabuf;
	volatile unsigned char *bytes;
	int pipes[2];

	check_start(DMA_BUF_CHECK_CONTINUE);
	dmabuf = check_buffer(page);
	bytes = check_vmap(dmabuf);
	ASSERT_OK(pipe2(pipes, O_CLOEXEC));
	ASSERT_EQ(write(pipes[1], (void *)bytes, 1), -1);
	ASSERT_EQ(errno, EFAULT);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE));
	ASSERT_EQ(write(pipes[1], (void *)bytes, 1), 1);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE));
	no_report();
	close(pipes[0]);
	close(pipes[1]);
	dma_buf_put(dmabuf);
}

TEST(C4_options_are_checked)
{
	struct dma_buf_check_options options = { .size = sizeof(options), .flags = 2 };

	ASSERT_ERR(dma_buf_check_start(&options), EINVAL);
	options.flags = 0;
	options.size--;
	ASSERT_ERR(dma_buf_check_start(&options), EINVAL);
	ASSERT_EQ(dma_buf_check_reports(), 0);
}
