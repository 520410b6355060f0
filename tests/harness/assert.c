// SPDX-License-Identifier: MIT
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where the binary has the library in it, its words make a failure easier to read. */
const char *dmabuf_last_error(void) __attribute__((weak));

__attribute__((format(printf, 1, 0))) static void report(const char *format, va_list args)
{
	char line[1024] = "# ";
	size_t len;
	char *p;

	vsnprintf(line + 2, sizeof(line) - 3, format, args);
	for (p = line; *p; p++) {
		if (*p == '\n')
			*p = ' ';
	}
	len = strlen(line);
	line[len++] = '\n';
	if (write(report_fd, line, len) < 0)
		_exit(1);
}

void test_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(format, args);
	va_end(args);
}

void test_fail(const char *file, int line, const char *format, ...)
{
	const char *words = dmabuf_last_error ? dmabuf_last_error() : "";
	char text[800];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	test_note("%s:%d: %s%s%s", file, line, text, words[0] ? "; the library's last words: " : "",
		  words);
	_exit(1);
}

void test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (skip_reason)
		vsnprintf(skip_reason, SKIP_REASON_LEN, format, args);
	va_end(args);
	_exit(TEST_SKIPPED);
}

void test_check_eq(const char *file, int line, const char *a_text, const char *b_text, intmax_t a,
		   intmax_t b)
{
	if (a != b)
		test_fail(file, line, "%s is %jd (0x%jx), not %s = %jd (0x%jx)", a_text, a,
			  (uintmax_t)a, b_text, b, (uintmax_t)b);
}

void test_check_ok(const char *file, int line, const char *call, intmax_t result)
{
	if (result < 0)
		test_fail(file, line, "%s failed: %jd (%s)", call, result, strerror((int)-result));
}

void test_check_err(const char *file, int line, const char *call, intmax_t result,
		    const char *want_text, int want)
{
	if (result >= 0)
		test_fail(file, line, "%s returned %jd, not -%s", call, result, want_text);
	if (result != -want)
		test_fail(file, line, "%s failed with %jd (%s), not -%s", call, result,
			  strerror((int)-result), want_text);
}

void test_check_errno(const char *file, int line, const char *call, const volatile void *result,
		      int got, const char *want_text, int want)
{
	if (result)
		test_fail(file, line, "%s succeeded, not NULL with %s", call, want_text);
	if (got != want)
		test_fail(file, line, "%s: errno %d (%s), not %s", call, got, strerror(got),
			  want_text);
}

void test_check_contains(const char *file, int line, const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		test_fail(file, line, "\"%s\" does not contain \"%s\"", text ? text : "(null)",
			  part);
}

void test_check_str_eq(const char *file, int line, const char *a, const char *b)
{
	if (!a || !b || strcmp(a, b) != 0)
		test_fail(file, line, "\"%s\" is not \"%s\"", a ? a : "(null)", b ? b : "(null)");
}
