// SPDX-License-Identifier: MIT
#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int memfd_make(size_t size)
{
	static unsigned int noexec = MFD_NOEXEC_SEAL;
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("bench", flags | noexec);

	if (fd < 0 && errno == EINVAL) {
		noexec = 0;
		fd = memfd_create("bench", flags);
	}
	bench_check(fd >= 0, "memfd_create");
	bench_check(ftruncate(fd, (off_t)size) == 0, "ftruncate");
	bench_check(fcntl(fd, F_ADD_SEALS, SEALS) == 0, "fcntl(F_ADD_SEALS)");
	return fd;
}

void memfd_send(int socket, int fd)
{
	union control control = { 0 };
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	bench_check(sendmsg(socket, &msg, MSG_NOSIGNAL) == 1, "sendmsg");
}

int memfd_recv(int socket)
{
	union control control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	struct cmsghdr *c;
	int fd;

	bench_check(recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1, "recvmsg");
	c = CMSG_FIRSTHDR(&msg);
	errno = EPROTO;
	bench_check(c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)),
		    "receiving a descriptor");
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

size_t memfd_check(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	bench_check(seals >= 0 && (seals & SEALS) == SEALS, "fcntl(F_GET_SEALS)");
	bench_check(fstat(fd, &st) == 0, "fstat");
	return (size_t)st.st_size;
}

void *memfd_map(int fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	bench_check(memory != MAP_FAILED, "mmap");
	return memory;
}
