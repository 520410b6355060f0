// SPDX-License-Identifier: MIT
/*
 * Seeing what goes on: row G1.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"

static const struct dma_buf_holder_info *holder_of(const struct dma_buf_info *info, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < info->holder_count; i++)
		if (info->holders[i].pid == pid)
			return &info->holders[i];
	FAIL("%d is not among the %u holders", (int)pid, info->holder_count);
}

TEST(G1_a_buffer_tells_what_it_is)
{
	struct counting_exporter exporter = { 0 };
	struct dma_buf *dmabuf = counting_export(&exporter, 12345, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct dma_buf_info info;
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	ASSERT_OK(dma_buf_set_name(dmabuf, "left eye"));
	info = peer_info(dmabuf);
	ASSERT_EQ(info.size, 12345);
	ASSERT_EQ(info.inode, st.st_ino);
	ASSERT_STR_EQ(info.name, "left eye");
	ASSERT_STR_EQ(info.exp_name, "counting");
	ASSERT(!info.read_only);
	ASSERT(!info.split);
	ASSERT(info.exporter_alive);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT_EQ(info.holders[0].pid, getpid());
	ASSERT_STR_EQ(info.holders[0].label, program_invocation_short_name);
	ASSERT(info.holders[0].alive);
	ASSERT(info.holders[0].exporter);
	ASSERT_EQ(info.attachment_count, 0);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(G1_a_read_only_share_says_so)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDONLY);
	struct dma_buf_info info = peer_info(dmabuf);

	ASSERT(info.read_only);
	ASSERT(info.split);
	ASSERT_STR_EQ(info.name, "x");
	ASSERT_STR_EQ(info.exp_name, "memfd");
	dma_buf_put(dmabuf);
}

TEST(G1_names_are_checked_and_can_be_taken_away)
{
	struct dma_buf *dmabuf = dma_buf_alloc("first", 4096, O_RDWR);

	ASSERT_ERR(dma_buf_set_name(dmabuf, "a\nb"), EINVAL);
	ASSERT_ERR(dma_buf_set_name(dmabuf, "0123456789012345678901234567890x"), ENAMETOOLONG);
	ASSERT_ERR(dma_buf_set_name(dmabuf, NULL), EINVAL);
	ASSERT_ERR(dma_buf_set_name(NULL, "x"), EINVAL);
	ASSERT_STR_EQ(peer_info(dmabuf).name, "first");
	ASSERT_OK(dma_buf_set_name(dmabuf, "0123456789012345678901234567890"));
	ASSERT_STR_EQ(peer_info(dmabuf).name, "0123456789012345678901234567890");
	ASSERT_OK(dma_buf_set_name(dmabuf, ""));
	ASSERT_STR_EQ(peer_info(dmabuf).name, "");
	dma_buf_put(dmabuf);
}

static int hold_as_camera(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);

	ASSERT(table);
	peer_tell(peer);
	peer_wait(peer);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_FROM_DEVICE));
	peer_tell(peer);
	peer_wait(peer);
	dma_buf_put(dmabuf);
	return 0;
}

static int labelled(struct peer *peer, struct dma_buf *dmabuf)
{
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	dma_buf_put(dmabuf);
	ASSERT_OK(dmabuf_set_label("camera"));
	dmabuf = dma_buf_get(fd);
	close(fd);
	return hold_as_camera(peer, dmabuf);
}

TEST(G1_holders_and_their_mappings_are_seen)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	const struct dma_buf_holder_info *holder;
	struct dma_buf_info info;
	struct peer peer;

	ASSERT_ERR(dmabuf_set_label(""), EINVAL);
	ASSERT_ERR(dmabuf_set_label("0123456789012345678901234567890x"), ENAMETOOLONG);
	peer_start(&peer, dmabuf, labelled, NULL);
	peer_wait(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 2);
	holder = holder_of(&info, peer.pid);
	ASSERT_STR_EQ(holder->label, "camera");
	ASSERT(holder->alive);
	ASSERT(!holder->exporter);
	ASSERT_EQ(info.attachment_count, 1);
	ASSERT_EQ(info.attachments[0].mapped, 1);
	ASSERT_EQ(info.attachments[0].direction, DMA_FROM_DEVICE);
	ASSERT_STR_EQ(info.attachments[0].device, dma_buf_device_name(dma_buf_cpu_device()));
	ASSERT(&info.holders[info.attachments[0].holder] == holder);
	ASSERT_EQ(info.counters.maps, 1);
	peer_tell(&peer);
	peer_wait(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.attachments[0].mapped, 0);
	ASSERT_EQ(info.attachments[0].direction, DMA_FROM_DEVICE);
	peer_tell(&peer);
	peer_end(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT_EQ(info.attachment_count, 0);
	dma_buf_put(dmabuf);
}

static int export_and_die(void *arg)
{
	int *socket = arg;
	struct dma_buf *dmabuf = dma_buf_alloc("orphan", 8192, O_RDWR);

	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	ASSERT_OK(dma_buf_send(socket[1], dmabuf, 5000));
	_exit(0);
}

TEST(G1_a_buffer_outlives_its_exporter_and_says_so)
{
	struct dma_buf_info info;
	struct dma_buf *dmabuf;
	struct peer peer;
	int sockets[2];
	pid_t pid;

	socket_pair(SOCK_STREAM, sockets);
	pid = spawn(export_and_die, sockets);
	ASSERT_EQ(reap(pid), 0);
	dmabuf = dma_buf_recv(sockets[0], 5000);
	ASSERT(dmabuf);
	info = peer_info(dmabuf);
	ASSERT_STR_EQ(info.name, "orphan");
	ASSERT_STR_EQ(info.exp_name, "memfd");
	ASSERT_EQ(info.size, 8192);
	ASSERT(!info.exporter_alive);
	ASSERT(holder_of(&info, getpid())->alive);
	ASSERT(!holder_of(&info, getpid())->exporter);
	/* The attachment of the dead goes with the first one who changes the list. */
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	info = peer_info(dmabuf);
	ASSERT_EQ(info.attachment_count, 1);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT(!info.exporter_alive);
	/* Whoever takes the exporter's place is not the exporter. */
	peer_start(&peer, dmabuf, hold_as_camera, NULL);
	peer_wait(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holders[0].pid, peer.pid);
	ASSERT(!info.holders[0].exporter);
	ASSERT(!info.exporter_alive);
	peer_kill(&peer);
	dma_buf_put(dmabuf);
	close(sockets[0]);
	close(sockets[1]);
}

TEST(G1_looking_needs_only_a_read_only_descriptor_and_disturbs_nothing)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_info before = peer_info(dmabuf), info;
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), reader, fds;
	int mappings = buffer_mappings();
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_OK(reader);
	fds = open_fds();
	info.struct_size = sizeof(info);
	ASSERT_OK(dma_buf_get_info(reader, &info));
	ASSERT(!memcmp(&info, &before, sizeof(info)));
	ASSERT_EQ(open_fds(), fds);
	ASSERT_EQ(buffer_mappings(), mappings);
	close(reader);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(G1_looking_refuses_what_is_no_dma_buf)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ASSERT_ERR(dma_buf_get_info(-1, &info), EBADF);
	ASSERT_ERR(dma_buf_get_info(null, &info), EINVAL);
	ASSERT_ERR(dma_buf_get_info(fd, NULL), EINVAL);
	info.struct_size = 1;
	ASSERT_ERR(dma_buf_get_info(fd, &info), EINVAL);
	ASSERT_ERR(dma_buf_get_counters(dmabuf, NULL), EINVAL);
	ASSERT_ERR(dma_buf_get_counters(NULL, &info.counters), EINVAL);
	close(fd);
	close(null);
	dma_buf_put(dmabuf);
}

static int stay_stopped(struct peer *peer, struct dma_buf *dmabuf)
{
	peer_tell(peer);
	raise(SIGSTOP);
	dma_buf_put(dmabuf);
	return 0;
}

static bool is_stopped(void *arg)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t) * (pid_t *)arg, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid;
}

TEST(G1_looking_waits_for_nobody_and_a_stopped_holder_is_alive)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_info info;
	struct peer peer;

	peer_start(&peer, dmabuf, stay_stopped, NULL);
	peer_wait(&peer);
	ASSERT(eventually(is_stopped, &peer.pid, 60000));
	info = peer_info(dmabuf);
	ASSERT(holder_of(&info, peer.pid)->alive);
	kill(peer.pid, SIGCONT);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

TEST(G1_a_dead_holder_is_shown_as_dead_until_somebody_cleans_up)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_counters counters;
	struct dma_buf_info info;
	struct peer peer;

	peer_start(&peer, dmabuf, hold_as_camera, NULL);
	peer_wait(&peer);
	peer_kill(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 2);
	ASSERT(!holder_of(&info, peer.pid)->alive);
	ASSERT_EQ(info.attachment_count, 1);
	ASSERT_EQ(info.counters.recovered, 0);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT_EQ(info.attachment_count, 1);
	ASSERT_EQ(info.holders[info.attachments[0].holder].pid, getpid());
	ASSERT_OK(dma_buf_get_counters(dmabuf, &counters));
	ASSERT_EQ(counters.recovered, 1);
	dma_buf_put(dmabuf);
}
