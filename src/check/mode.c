// SPDX-License-Identifier: MIT
/* Whether to check, and where reports go. */
#include "check/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "error.h"
#include "export.h"
#include "options.h"
#include "process.h"

#define ENVIRONMENT "DMABUF_CHECK"

atomic_bool check_on;
struct dmabuf_list check_buffers = { &check_buffers, &check_buffers };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;
static struct dma_buf_check_options settings; /* guarded by the lock */
static char log_path[4096];		      /* as the environment had it; "": standard error */
static atomic_uint_fast64_t reports;
static _Atomic(uint64_t) reporting_process; /* whose count it is */

/* The handler takes it, too; where it interrupts, the thread does not have it. */
void check_lock(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, old);
	pthread_mutex_lock(&lock);
}

void check_unlock(const sigset_t *old)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

void check_hold_for_fork(bool hold)
{
	static sigset_t kept; /* guarded by the lock */
	sigset_t before;

	if (hold) {
		check_lock(&before);
		kept = before;
	} else {
		before = kept;
		check_unlock(&before);
	}
}

static void switch_on(void)
{
	if (!check_is_on())
		check_catch_faults();
	atomic_store(&check_on, true);
}

static void write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* One write a line, so that several processes can share a file. It is open no longer than that. */
static void write_report(const char *text)
{
	int fd = STDERR_FILENO;
	char line[1024];
	size_t len = strnlen(text, sizeof(line) - 1);

	memcpy(line, text, len);
	line[len++] = '\n';
	if (log_path[0])
		fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return;
	write_all(fd, line, len);
	if (log_path[0])
		close(fd);
}

/* False: not known. */
static bool read_word(const char *word, size_t len)
{
	static const char path[] = "log=";

	if ((len == 1 && word[0] == '1') || !len)
		return true;
	if (len == strlen("continue") && !memcmp(word, "continue", len)) {
		settings.flags |= DMA_BUF_CHECK_CONTINUE;
	} else if (len > strlen(path) && len - strlen(path) < sizeof(log_path) &&
		   !memcmp(word, path, strlen(path))) {
		memcpy(log_path, word + strlen(path), len - strlen(path));
		log_path[len - strlen(path)] = '\0';
	} else {
		return false;
	}
	return true;
}

static void read_environment(void)
{
	const char *at = secure_getenv(ENVIRONMENT);
	bool known = true;

	if (!at || !at[0] || !strcmp(at, "0"))
		return;
	for (;;) {
		size_t len = strcspn(at, ",");

		known &= read_word(at, len);
		if (!at[len])
			break;
		at += len + 1;
	}
	/* Somebody asked for reports, so here is where to say it. */
	if (!known)
		write_report("dma-buf check: " ENVIRONMENT " has a word that is none of 1, "
			     "continue, log=PATH");
	switch_on();
}

bool check_is_wanted(void)
{
	pthread_once(&environment_once, read_environment);
	return check_is_on();
}

bool check_goes_on(void)
{
	return settings.flags & DMA_BUF_CHECK_CONTINUE;
}

void check_deliver(const struct dma_buf_check_report *report)
{
	struct dma_buf_check_options to;
	uint64_t process = process_cookie();
	sigset_t old;

	check_lock(&old);
	to = settings;
	if (atomic_load(&reporting_process) != process)
		atomic_store(&reports, 0);
	atomic_store(&reporting_process, process);
	atomic_fetch_add(&reports, 1);
	check_unlock(&old);
	if (to.report)
		to.report(report, to.data);
	else
		write_report(report->text);
}

DMABUF_PUBLIC int dma_buf_check_start(const struct dma_buf_check_options *options)
{
	struct dma_buf_check_options known = { .size = sizeof(known) };
	int err = options ? options_take(&known, sizeof(known), options, sizeof(known),
					 "check options")
			  : 0;
	sigset_t old;

	if (err)
		return err;
	if (known.flags & ~DMA_BUF_CHECK_CONTINUE)
		return dmabuf_fail(EINVAL,
				   "check options: flags 0x%x; only DMA_BUF_CHECK_CONTINUE is "
				   "known",
				   known.flags);
	(void)check_is_wanted();
	check_lock(&old);
	settings = known;
	switch_on();
	check_unlock(&old);
	return 0;
}

DMABUF_PUBLIC uint64_t dma_buf_check_reports(void)
{
	if (!check_is_on() || !process_is(atomic_load(&reporting_process)))
		return 0;
	return atomic_load(&reports);
}
