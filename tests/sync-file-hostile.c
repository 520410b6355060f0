// SPDX-License-Identifier: MIT
/*
 * Descriptors that are no fence, and holders of one that mean harm: row E5. An internal test: it
 * forges names and records.
 */
#include <stddef.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "sync-peer.h"
#include "sync-wire.h"

static void refused(int fd, int err)
{
	struct dmabuf_sync_file_info info = { .size = sizeof(info), .status = 7 };
	int before = open_fds();

	ASSERT_ERR(dmabuf_sync_file_check(fd), err);
	ASSERT_ERRNO(dmabuf_sync_file_get_fence(fd), err);
	ASSERT_ERR(dmabuf_sync_file_merge(fd, fd, NULL), err);
	ASSERT_ERR(dmabuf_sync_file_get_info(fd, &info), err);
	ASSERT_ERR(dmabuf_sync_file_wait(fd, 1, NULL), err);
	ASSERT_ERR(dmabuf_sync_file_wait_any(&fd, 1, 1, NULL), err);
	ASSERT_ERR(dmabuf_sync_file_wait_all(&fd, 1, 1), err);
	ASSERT_EQ(info.status, 7);
	ASSERT_EQ(open_fds(), before);
}

TEST(E5_what_is_no_fence_is_refused_and_left_alone)
{
	int fds[16], count = 0, i, sv[2];

	fds[count++] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[count++] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fds[count++] = open("/", O_PATH | O_CLOEXEC);
	fds[count++] = eventfd(1, EFD_CLOEXEC);
	fds[count++] = memfd_create("dma-fence:1:", MFD_CLOEXEC);
	ASSERT_OK(pipe2(&fds[count], O_CLOEXEC));
	count += 2;
	socket_pair(SOCK_STREAM, sv);
	ASSERT_EQ(send(sv[1], "x", 1, 0), 1);
	fds[count++] = sv[0];
	fds[count++] = sv[1];
	fds[count++] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[count++] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (i = 0; i < count; i++) {
		ASSERT_OK(fds[i]);
		refused(fds[i], EINVAL);
	}
	ASSERT(readable(sv[0], 0));
	for (i = 0; i < count; i++) {
		close(fds[i]);
		refused(fds[i], EBADF);
	}
	refused(-1, EBADF);
	refused(INT_MAX, EBADF);
}

/* A name of a forger's, who numbers it so that each is another. */
static struct sync_name name_of(uint64_t context, uint64_t seqno)
{
	static uint64_t count;

	return (struct sync_name){ .instance = 1,
				   .id = (uint64_t)getpid() << 32 | ++count,
				   .context = context,
				   .seqno = seqno,
				   .timeout_ms = 60000,
				   .driver = "forged",
				   .timeline = "forged" };
}

static socklen_t address_of(struct sockaddr_un *address, const struct sync_name *name)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   sync_name_write(name, address->sun_path + 1));
}

/* ends[1] looks like a fence; what is written to ends[0] is what comes from its owner. */
static void forge(int ends[2], int type, const struct sync_name *name)
{
	struct sockaddr_un address;
	socklen_t length = address_of(&address, name);

	socket_pair(type, ends);
	ASSERT_OK(bind(ends[1], (struct sockaddr *)&address, length));
}

static void close_both(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

TEST(E5_sockets_with_a_fences_name_that_cannot_be_one_are_refused)
{
	struct sync_name name = name_of(1, 1);
	struct sockaddr_un address;
	socklen_t length = address_of(&address, &name);
	int ends[2], listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ASSERT_OK(bind(listener, (struct sockaddr *)&address, length));
	ASSERT_OK(listen(listener, 1));
	refused(listener, EINVAL);
	close(listener);
	forge(ends, SOCK_DGRAM, &name);
	refused(ends[1], EINVAL);
	close_both(ends);
	forge(ends, SOCK_SEQPACKET, &name);
	refused(ends[1], EINVAL);
	close_both(ends);
	/* The owner's end has no name. */
	name = name_of(1, 1);
	forge(ends, SOCK_STREAM, &name);
	refused(ends[0], EINVAL);
	ASSERT_OK(dmabuf_sync_file_check(ends[1]));
	close_both(ends);
}

static void ends_with(const void *bytes, size_t length, int status)
{
	struct sync_name name = name_of(1, 1);
	struct dma_fence *before;
	int ends[2];

	forge(ends, SOCK_STREAM, &name);
	before = dmabuf_sync_file_get_fence(ends[1]);
	ASSERT(before);
	ASSERT_EQ(dma_fence_get_status(before), 0);
	ASSERT_EQ(send(ends[0], bytes, length, MSG_NOSIGNAL), (ssize_t)length);
	ASSERT(dma_fence_wait_timeout(before, false, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(before), status);
	dma_fence_put(before);
	ASSERT_EQ(ended_with(ends[1]), status);
	close_both(ends);
}

TEST(E5_what_is_no_record_ends_a_fence_with_ebadmsg)
{
	struct sync_record good = sync_record_make(1, 99), bad;
	char oversize[4096] = { 0 };

	ends_with(&good, sizeof(good), 1);
	memcpy(oversize, &good, sizeof(good));
	ends_with(oversize, sizeof(good) + 1, -EBADMSG);
	ends_with(oversize, sizeof(oversize), -EBADMSG);
	ends_with(&good, sizeof(good) - 1, -EBADMSG);
	ends_with("x", 1, -EBADMSG);
	bad = good;
	bad.magic++;
	ends_with(&bad, sizeof(bad), -EBADMSG);
	bad = good;
	bad.version++;
	ends_with(&bad, sizeof(bad), -EBADMSG);
	bad = good;
	bad.status = 0;
	ends_with(&bad, sizeof(bad), -EBADMSG);
	bad.status = 2;
	ends_with(&bad, sizeof(bad), -EBADMSG);
	bad.status = -DMA_FENCE_MAX_ERRNO - 1;
	ends_with(&bad, sizeof(bad), -EBADMSG);
	bad.status = -DMA_FENCE_MAX_ERRNO;
	ends_with(&bad, sizeof(bad), -DMA_FENCE_MAX_ERRNO);
	bad = good;
	bad.timestamp = -1;
	ends_with(&bad, sizeof(bad), -EBADMSG);
}

/* An owner, and two that hold its fence through one description: this process and a hostile one. */
struct shared {
	struct owner owner;
	struct dma_fence *fence;
};

static void shared_begin(struct shared *s)
{
	*s = (struct shared){ .owner = { .seqno = 1, .timeout_ms = 60000 } };
	owner_start(&s->owner);
	s->fence = dmabuf_sync_file_get_fence(s->owner.fd);
	ASSERT(s->fence);
}

static void shared_end(struct shared *s)
{
	dma_fence_put(s->fence);
	owner_end(&s->owner);
}

TEST(E5_a_holder_that_shuts_a_descriptor_down_ends_it_with_an_error)
{
	struct shared s;

	shared_begin(&s);
	ASSERT_OK(shutdown(s.owner.fd, SHUT_RDWR));
	ASSERT(dma_fence_wait_timeout(s.fence, false, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(s.fence), -EOWNERDEAD);
	shared_end(&s);
}

TEST(E5_a_holder_cannot_write_to_a_fence)
{
	struct sync_record forged = sync_record_make(1, 99);
	struct shared s;

	shared_begin(&s);
	ASSERT_EQ(send(s.owner.fd, &forged, sizeof(forged), MSG_NOSIGNAL), -1);
	ASSERT_EQ(errno, EPIPE);
	ASSERT_EQ(dma_fence_wait_timeout(s.fence, false, 20), 0);
	owner_do(&s.owner, 's');
	ASSERT_EQ(ended_with(s.owner.fd), 1);
	shared_end(&s);
}

TEST(E5_a_holder_that_moves_where_to_peek_changes_nothing)
{
	const int far = 1000;
	struct shared s;

	shared_begin(&s);
	ASSERT_OK(setsockopt(s.owner.fd, SOL_SOCKET, SO_PEEK_OFF, &far, sizeof(int)));
	owner_do(&s.owner, 's');
	ASSERT(dma_fence_wait_timeout(s.fence, false, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(s.fence), 1);
	ASSERT_OK(setsockopt(s.owner.fd, SOL_SOCKET, SO_PEEK_OFF, &far, sizeof(int)));
	ASSERT_EQ(ended_with(s.owner.fd), 1);
	shared_end(&s);
}

TEST(E5_a_holder_that_takes_the_record_away_ends_it_with_an_error)
{
	char bytes[64];
	struct shared s;
	int status;

	shared_begin(&s);
	owner_do(&s.owner, 's');
	ASSERT(readable(s.owner.fd, LONG_MS));
	(void)!read(s.owner.fd, bytes, sizeof(bytes));
	/* Who looked before knows better; who comes now is told that something is wrong. */
	ASSERT(dma_fence_wait_timeout(s.fence, false, LONG_MS) > 0);
	status = dma_fence_get_status(s.fence);
	ASSERT(status == 1 || status == -EOWNERDEAD || status == -EBADMSG);
	ASSERT_EQ(ended_with(s.owner.fd), -EOWNERDEAD);
	shared_end(&s);
}

/*
 * Who could put a fence on another's timeline, later than all of it, could have the other's left
 * out of a merge, and signal for it.
 */
TEST(E5_nobody_gets_onto_another_processes_timeline)
{
	struct owner owner = { .context = 9, .seqno = 1 };
	struct dmabuf_sync_file_info info = { .size = sizeof(info) };
	struct sockaddr_un address;
	socklen_t length = sizeof(address);
	struct sync_name name;
	int ends[2], merged;

	owner_start(&owner);
	ASSERT_OK(getsockname(owner.fd, (struct sockaddr *)&address, &length));
	ASSERT_OK(sync_name_read(&name, address.sun_path + 1,
				 length - offsetof(struct sockaddr_un, sun_path) - 1));
	ASSERT_EQ(name.context, 9);
	name.id++;
	name.seqno = 1000;
	forge(ends, SOCK_STREAM, &name);
	merged = dmabuf_sync_file_merge(owner.fd, ends[1], NULL);
	ASSERT_OK(dmabuf_sync_file_get_info(merged, &info));
	ASSERT_EQ(info.num_fences, 2);
	close(merged);
	close_both(ends);
	owner_end(&owner);
}

static int forge_the_parents(void *arg)
{
	struct {
		int socket;
		struct sync_name name;
	} *with = arg;
	int ends[2];

	forge(ends, SOCK_STREAM, &with->name);
	send_fds(with->socket, &ends[1], 1);
	gate_wait((struct gate *)(with + 1));
	close_both(ends);
	return 0;
}

/* A name says which fence of ours it is; only who could make it is believed. */
TEST(E5_a_forged_name_does_not_bring_ones_own_fence)
{
	struct {
		int socket;
		struct sync_name name;
		struct gate gate;
	} with;
	struct dma_fence *own = fence_new(), *got;
	int fd = dmabuf_sync_file_create(own, NULL), sockets[2], forged;
	struct sockaddr_un address;
	socklen_t length = sizeof(address);
	pid_t pid;

	ASSERT_OK(getsockname(fd, (struct sockaddr *)&address, &length));
	ASSERT_OK(sync_name_read(&with.name, address.sun_path + 1,
				 length - offsetof(struct sockaddr_un, sun_path) - 1));
	with.name.seqno++; /* the very name is taken as long as the fence lives */
	socket_pair(SOCK_SEQPACKET, sockets);
	with.socket = sockets[1];
	gate_init(&with.gate);
	pid = spawn(forge_the_parents, &with);
	recv_fds(sockets[0], &forged, 1);
	got = dmabuf_sync_file_get_fence(forged);
	ASSERT(got);
	ASSERT(got != own);
	ASSERT(got->context != own->context);
	gate_signal(&with.gate);
	ASSERT_EQ(reap(pid), 0);
	dma_fence_put(got);
	gate_close(&with.gate);
	close(forged);
	close(sockets[0]);
	close(sockets[1]);
	close(fd);
	dma_fence_put(own);
}

static void name_refused(const char *text, size_t length)
{
	struct sync_name name = { .seqno = 77 };

	ASSERT_ERR(sync_name_read(&name, text, length), EINVAL);
	ASSERT_EQ(name.seqno, 77);
}

TEST(E5_names_come_across_whole_and_broken_ones_are_refused)
{
	struct sync_name name = { .instance = UINT64_MAX,
				  .id = 1,
				  .context = UINT64_MAX,
				  .seqno = UINT64_MAX,
				  .timeout_ms = DMA_FENCE_TIMEOUT_MAX,
				  .wide = true,
				  .driver = "a driver with a long name",
				  .timeline = "a timeline",
				  .name = "a fence with a long name too" },
			 got;
	char text[SYNC_NAME_MAX];
	size_t length = sync_name_write(&name, text), i;

	ASSERT_EQ(length, SYNC_NAME_MAX);
	ASSERT_OK(sync_name_read(&got, text, length));
	ASSERT_EQ(got.instance, name.instance);
	ASSERT_EQ(got.context, name.context);
	ASSERT_EQ(got.seqno, name.seqno);
	ASSERT_EQ(got.timeout_ms, name.timeout_ms);
	ASSERT(got.wide);
	ASSERT_STR_EQ(got.driver, "a dri");
	ASSERT_STR_EQ(got.timeline, "a tim");
	ASSERT_STR_EQ(got.name, "a fenc");
	name.timeout_ms = 0;
	name.context = name.seqno = 3;
	strcpy(name.driver, "i\033");
	length = sync_name_write(&name, text);
	ASSERT_OK(sync_name_read(&got, text, length));
	ASSERT_STR_EQ(got.driver, "i?");
	ASSERT_STR_EQ(got.timeline, "a timeline");
	ASSERT_STR_EQ(got.name, "a fence with a long name too");
	/* Cut anywhere but within the last text, and with any digit changed into none. */
	for (i = 0; i < length - strlen(got.name); i++)
		name_refused(text, i);
	for (i = 0; i < strlen("dma-fence:1:0123456789abcdef:0123456789abcdef:3:3:0:w:"); i++) {
		text[i] ^= 0x40;
		name_refused(text, length);
		text[i] ^= 0x40;
	}
	name.timeout_ms = DMA_FENCE_TIMEOUT_MAX + 1;
	name_refused(text, sync_name_write(&name, text));
}
