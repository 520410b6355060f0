// SPDX-License-Identifier: MIT
#include "lock-peers.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "team.h"

struct peer_word *peer_words(unsigned int count)
{
	return team_memory(count * sizeof(struct peer_word));
}

struct peer_mutex *peer_mutexes(unsigned int count)
{
	struct peer_mutex *mutexes = team_memory(count * sizeof(*mutexes));
	pthread_mutexattr_t attr;
	unsigned int i;
	int err;

	err = pthread_mutexattr_init(&attr);
	if (!err)
		err = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (!err)
		err = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (i = 0; !err && i < count; i++)
		err = pthread_mutex_init(&mutexes[i].mutex, &attr);
	bench_check_err(-err, "pthread_mutex_init");
	pthread_mutexattr_destroy(&attr);
	return mutexes;
}

int peer_file(void)
{
	int fd = memfd_create("bench-file", MFD_CLOEXEC);

	bench_check_err(fd < 0 ? -errno : 0, "memfd_create");
	return fd;
}

int peer_file_again(int fd)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	bench_check_err(again < 0 ? -errno : 0, path);
	return again;
}
