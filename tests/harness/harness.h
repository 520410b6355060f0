/* SPDX-License-Identifier: MIT */
/**
 * DOC: test harness
 *
 * Each TEST() runs in a process of its own and has failed if it asserts wrongly, crashes, hangs,
 * is reported by a sanitizer, or leaves behind a descriptor, a mapping of a buffer or a process.
 * Output is TAP. `binary NAME...` runs those tests only, `binary --list` prints their names.
 *
 * DMABUF_TEST_SLOW=N multiplies every time limit here by N (valgrind: 10).
 */
#ifndef DMABUF_TEST_HARNESS_H
#define DMABUF_TEST_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct test {
	const char *name;
	void (*fn)(void);
	int timeout_s;
	struct test *next;
};

struct test_helper {
	const char *name;
	int (*fn)(int argc, char **argv);
	struct test_helper *next;
};

void test_register(struct test *test);
void test_helper_register(struct test_helper *helper);

#define TEST_TIMEOUT_DEFAULT 120

/* A test with a time limit of its own: TEST_TIMEOUT(B1_..., 60) { ... } */
#define TEST_TIMEOUT(ident, seconds)                                              \
	static void test_##ident(void);                                           \
	static struct test reg_##ident = { #ident, test_##ident, seconds, NULL }; \
	__attribute__((constructor)) static void register_##ident(void)           \
	{                                                                         \
		test_register(&reg_##ident);                                      \
	}                                                                         \
	static void test_##ident(void)

#define TEST(ident) TEST_TIMEOUT(ident, TEST_TIMEOUT_DEFAULT)

/*
 * A program for tests that need exec: TEST_HELPER(reader) { ... return 0; } is what
 * spawn_helper("reader", ...) runs, as a fresh process of the same binary, with its arguments in
 * argv[1] and on.
 */
#define TEST_HELPER(ident)                                                         \
	static int helper_##ident(int argc, char **argv);                          \
	static struct test_helper help_##ident = { #ident, helper_##ident, NULL }; \
	__attribute__((constructor)) static void register_helper_##ident(void)     \
	{                                                                          \
		test_helper_register(&help_##ident);                               \
	}                                                                          \
	static int helper_##ident(int argc, char **argv)

/* Fail or skip the running test; they work in spawned processes and in threads too. */
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* A line of diagnostics in the report. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

void test_check_eq(const char *file, int line, const char *a_text, const char *b_text, intmax_t a,
		   intmax_t b);
void test_check_ok(const char *file, int line, const char *call, intmax_t result);
void test_check_err(const char *file, int line, const char *call, intmax_t result,
		    const char *want_text, int want);
void test_check_errno(const char *file, int line, const char *call, const volatile void *result,
		      int got, const char *want_text, int want);
void test_check_contains(const char *file, int line, const char *text, const char *part);
void test_check_str_eq(const char *file, int line, const char *a, const char *b);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) test_skip(__VA_ARGS__)
#define ASSERT(cond)                                                        \
	do {                                                                \
		if (!(cond))                                                \
			test_fail(__FILE__, __LINE__, "not so: %s", #cond); \
	} while (0)
#define ASSERT_EQ(a, b) test_check_eq(__FILE__, __LINE__, #a, #b, (intmax_t)(a), (intmax_t)(b))
/* The call returns 0 or more. */
#define ASSERT_OK(call) test_check_ok(__FILE__, __LINE__, #call, (intmax_t)(call))
/* The call returns -want. */
#define ASSERT_ERR(call, want) \
	test_check_err(__FILE__, __LINE__, #call, (intmax_t)(call), #want, want)
/* The call returns NULL and errno is want. */
#define ASSERT_ERRNO(call, want)                                                           \
	do {                                                                               \
		const volatile void *result_ = (errno = 0, (call));                        \
		int errno_ = errno;                                                        \
		test_check_errno(__FILE__, __LINE__, #call, result_, errno_, #want, want); \
	} while (0)
#define ASSERT_STR_CONTAINS(text, part) test_check_contains(__FILE__, __LINE__, text, part)
#define ASSERT_STR_EQ(a, b) test_check_str_eq(__FILE__, __LINE__, a, b)

/*
 * Run fn(arg) in a forked process; what it returns is its exit status. Returning checks for
 * descriptors and buffer mappings left behind, as at a test's end; a process that is meant to die
 * with its hands full calls _exit() or is killed. Dies with the test.
 */
pid_t spawn(int (*fn)(void *arg), void *arg);

/* What becomes descriptors 0, 1 and 2; -1: the caller's own. */
struct spawn_io {
	int in;
	int out;
	int err;
};

/* Run a program; argv[0] is looked up in PATH. @io may be NULL. Status 127: could not run it. */
pid_t spawn_exec(char *const argv[], const struct spawn_io *io);

/* Run a TEST_HELPER of this binary with up to 8 more string arguments, closed by NULL. */
pid_t spawn_helper(const char *name, ...) __attribute__((sentinel));

/*
 * Wait for a child, at most 60 s: its exit status, or 128 + the signal that killed it. Fails the
 * test if it does not end (and kills it).
 */
int reap(pid_t pid);
/* The same with a limit of one's own. */
int reap_within(pid_t pid, int ms);

/* Until cond(arg) holds, looked at every millisecond, at most ms: for what is asynchronous. */
bool eventually(bool (*cond)(void *arg), void *arg, int ms);
/* For eventually(): do all threads of this process but the caller sleep? */
bool other_threads_sleep(void *arg);
/* Milliseconds of CLOCK_MONOTONIC. */
int64_t now_ms(void);

/* A connected pair of Unix sockets (type: SOCK_STREAM, SOCK_SEQPACKET), close-on-exec. */
void socket_pair(int type, int sv[2]);

/* One process says "here I am", another waits for that, at most 60 s. Close it in the end. */
struct gate {
	int fd[2];
};
void gate_init(struct gate *gate);
void gate_signal(struct gate *gate);
void gate_wait(struct gate *gate);
void gate_close(struct gate *gate);

/* Sanitizers have an allocator of their own, whose locks fork() does not hold, and no mlock(). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SANITIZED true
#endif
#endif
#ifndef TEST_SANITIZED
#define TEST_SANITIZED false
#endif

/* Does a tool (valgrind, a sanitizer) make everything slow? DMABUF_TEST_SLOW is above 1. */
bool test_is_slow(void);
/* A time that should be over or not: longer where everything is slow. */
int slow_ms(int ms);
/* Under valgrind, which has descriptors, system calls and ideas of memory of its own. */
bool test_under_valgrind(void);

/* How many descriptors, and mappings of buffers, this process has. */
int open_fds(void);
int buffer_mappings(void);
/* How much memory this process has locked. */
size_t locked_kb(void);

#endif
