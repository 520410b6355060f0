// SPDX-License-Identifier: MIT
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static atomic_int countdown;
static atomic_bool deadly;
static const char *_Atomic failed;
static atomic_long allocations;

void faults_arm_death(int step)
{
	atomic_store(&deadly, true);
	atomic_store(&countdown, step);
}

void faults_arm(int step)
{
	atomic_store(&deadly, false);
	atomic_store(&failed, NULL);
	atomic_store(&countdown, step);
}

const char *faults_disarm(void)
{
	atomic_store(&countdown, 0);
	return atomic_load(&failed);
}

long faults_allocations(void)
{
	return atomic_load(&allocations);
}

static bool fails(const char *name, int err)
{
	if (atomic_load(&countdown) <= 0 || atomic_fetch_sub(&countdown, 1) != 1)
		return false;
	if (atomic_load(&deadly))
		raise(SIGKILL);
	atomic_store(&failed, name);
	errno = err;
	return true;
}

/* The C library's headers rename calls with file offsets, so both names are wrapped. */
#define WRAP(type, name, params, args, failure, err) \
	type __real_##name params;                   \
	type __wrap_##name params;                   \
	type __wrap_##name params                    \
	{                                            \
		if (fails(#name, err))               \
			return failure;              \
		return __real_##name args;           \
	}
#define WRAP_BOTH(type, name, params, args, failure, err) \
	WRAP(type, name, params, args, failure, err)      \
	WRAP(type, name##64, params, args, failure, err)

WRAP_BOTH(void *, mmap, (void *addr, size_t len, int prot, int flags, int fd, off_t offset),
	  (addr, len, prot, flags, fd, offset), MAP_FAILED, ENOMEM)
WRAP(int, madvise, (void *addr, size_t len, int advice), (addr, len, advice), -1, ENOMEM)
WRAP(int, mlock, (const void *addr, size_t len), (addr, len), -1, ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned int flags), (name, flags), -1, EMFILE)
WRAP_BOTH(int, ftruncate, (int fd, off_t length), (fd, length), -1, ENOMEM)
WRAP_BOTH(int, fstat, (int fd, struct stat *st), (fd, st), -1, ENOMEM)
WRAP_BOTH(int, fstatfs, (int fd, struct statfs *fs), (fd, fs), -1, ENOMEM)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags), -1, ENOMEM)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags), -1, ENOMEM)
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int ms), (fds, count, ms), -1, ENOMEM)
WRAP_BOTH(ssize_t, pread, (int fd, void *to, size_t len, off_t at), (fd, to, len, at), -1, ENOMEM)
WRAP(int, socketpair, (int domain, int type, int protocol, int *sv), (domain, type, protocol, sv),
     -1, EMFILE)
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length),
     -1, ENOMEM)
WRAP(int, epoll_create1, (int flags), (flags), -1, EMFILE)
WRAP(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *event), (epfd, op, fd, event),
     -1, ENOSPC)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), -1, EMFILE)

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	if (fails("pthread_create", EAGAIN))
		return EAGAIN;
	return __real_pthread_create(thread, attr, fn, arg);
}

#define WRAP_OPEN(name)                                      \
	int __real_##name(const char *path, int flags, ...); \
	int __wrap_##name(const char *path, int flags, ...); \
	int __wrap_##name(const char *path, int flags, ...)  \
	{                                                    \
		if (fails(#name, EMFILE))                    \
			return -1;                           \
		return __real_##name(path, flags, 0600);     \
	}
WRAP_OPEN(open)
WRAP_OPEN(open64)

/* What the kernel answers when it finds no memory or no descriptor; closing a lock never fails. */
static int fcntl_error(int cmd, const void *arg)
{
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return EMFILE;
	case F_OFD_SETLK:
		return ((const struct flock *)arg)->l_type == F_UNLCK ? 0 : ENOLCK;
	case F_ADD_SEALS:
		return ENOMEM;
	default:
		return 0;
	}
}

#define WRAP_FCNTL(name)                            \
	int __real_##name(int fd, int cmd, ...);    \
	int __wrap_##name(int fd, int cmd, ...);    \
	int __wrap_##name(int fd, int cmd, ...)     \
	{                                           \
		va_list args;                       \
		void *arg;                          \
		int err;                            \
                                                    \
		va_start(args, cmd);                \
		arg = va_arg(args, void *);         \
		va_end(args);                       \
		err = fcntl_error(cmd, arg);        \
		if (err && fails(#name, err))       \
			return -1;                  \
		return __real_##name(fd, cmd, arg); \
	}
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add(&allocations, 1);
	return p;
}

#define WRAP_ALLOC(name, params, args)                                            \
	void *__real_##name params;                                               \
	void *__wrap_##name params;                                               \
	void *__wrap_##name params                                                \
	{                                                                         \
		return fails(#name, ENOMEM) ? NULL : counted(__real_##name args); \
	}
WRAP_ALLOC(malloc, (size_t size), (size))
WRAP_ALLOC(calloc, (size_t count, size_t size), (count, size))
WRAP_ALLOC(aligned_alloc, (size_t align, size_t size), (align, size))

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
	if (fails("realloc", ENOMEM))
		return NULL;
	return p ? __real_realloc(p, size) : counted(__real_realloc(p, size));
}

void *__real_reallocarray(void *p, size_t count, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size)
{
	if (fails("reallocarray", ENOMEM))
		return NULL;
	if (p)
		return __real_reallocarray(p, count, size);
	return counted(__real_reallocarray(p, count, size));
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	if (p)
		atomic_fetch_sub(&allocations, 1);
	__real_free(p);
}
