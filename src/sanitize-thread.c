// SPDX-License-Identifier: MIT
/*
 * Only in builds with ThreadSanitizer, which knows pthread_mutex_timedlock() but not
 * pthread_mutex_clocklock() and would take every unlock after the latter for a mistake. Hidden, so
 * that it stands in for the C library's within this library only.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	struct timespec now, real;
	long ns;

	clock_gettime(clock, &now);
	clock_gettime(CLOCK_REALTIME, &real);
	ns = real.tv_nsec + until->tv_nsec - now.tv_nsec;
	real.tv_sec += until->tv_sec - now.tv_sec;
	while (ns < 0) {
		ns += 1000000000;
		real.tv_sec--;
	}
	while (ns >= 1000000000) {
		ns -= 1000000000;
		real.tv_sec++;
	}
	real.tv_nsec = ns;
	return pthread_mutex_timedlock(mutex, &real);
}
