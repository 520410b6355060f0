// SPDX-License-Identifier: MIT
/*
 * A forked child has a handle of its own or a clear error, never its parent's place: row A3.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"

static struct counting_exporter exporter;

struct inherited {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	void *vaddr;
	int fd;
	struct gate in, out;
};

static void inherited_init(struct inherited *i)
{
	i->dmabuf = counting_export(&exporter, 4096, O_RDWR);
	i->attach = dma_buf_attach(i->dmabuf, dma_buf_cpu_device());
	i->table = dma_buf_map_attachment(i->attach, DMA_BIDIRECTIONAL);
	ASSERT(i->table);
	ASSERT_OK(dma_buf_begin_cpu_access(i->dmabuf, 0, 16, DMA_TO_DEVICE));
	i->vaddr = dma_buf_vmap(i->dmabuf);
	i->fd = dma_buf_fd(i->dmabuf, O_CLOEXEC);
	gate_init(&i->in);
	gate_init(&i->out);
}

static void inherited_fini(struct inherited *i)
{
	ASSERT_OK(dma_buf_end_cpu_access(i->dmabuf, 0, 16, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_unmap_attachment(i->attach, i->table, DMA_BIDIRECTIONAL));
	close(i->fd);
	gate_close(&i->in);
	gate_close(&i->out);
	dma_buf_put(i->dmabuf);
	ASSERT_EQ(exporter.released, 1);
	ASSERT_EQ(exporter.attached, 1);
	ASSERT_EQ(exporter.detached, 1);
	ASSERT_EQ(exporter.mapped, exporter.unmapped);
	ASSERT_EQ(exporter.begun, exporter.ended);
}

static void try_every_entry_point(struct inherited *i)
{
	struct dma_buf_access access = { i->dmabuf, 0, 16, DMA_TO_DEVICE };
	struct dma_buf_counters counters;
	struct dma_buf_pfns *pfns;
	int sockets[2];

	socket_pair(SOCK_STREAM, sockets);
	ASSERT_ERR(dma_buf_fd(i->dmabuf, O_CLOEXEC), ECHILD);
	ASSERT_ERR(dma_buf_payload_fd(i->dmabuf, O_CLOEXEC), ECHILD);
	ASSERT_ERR(dma_buf_set_name(i->dmabuf, "mine"), ECHILD);
	ASSERT_ERRNO(dma_buf_attach(i->dmabuf, dma_buf_cpu_device()), ECHILD);
	dma_buf_detach(i->dmabuf, i->attach);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "parent");
	ASSERT_ERRNO(dma_buf_map_attachment(i->attach, DMA_TO_DEVICE), ECHILD);
	ASSERT_ERRNO(dma_buf_map_attachment_attrs(i->attach, DMA_TO_DEVICE, 0), ECHILD);
	ASSERT_ERRNO(dma_buf_try_map_attachment(i->attach, DMA_TO_DEVICE), ECHILD);
	ASSERT_ERR(dma_buf_unmap_attachment(i->attach, i->table, DMA_BIDIRECTIONAL), ECHILD);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(i->attach, i->table, DMA_BIDIRECTIONAL), ECHILD);
	ASSERT_ERR(dma_buf_sync_sg_for_device(i->attach, i->table, DMA_BIDIRECTIONAL), ECHILD);
	ASSERT_ERRNO(dma_buf_get_scatterlist(i->dmabuf), ECHILD);
	errno = 0;
	pfns = dma_buf_get_pfns(i->dmabuf);
	ASSERT(!pfns && errno == ECHILD);
	ASSERT_ERR(dma_buf_begin_cpu_access(i->dmabuf, 0, 16, DMA_TO_DEVICE), ECHILD);
	ASSERT_ERR(dma_buf_end_cpu_access(i->dmabuf, 0, 16, DMA_TO_DEVICE), ECHILD);
	ASSERT_ERR(dma_buf_begin_cpu_access_many(&access, 1), ECHILD);
	ASSERT_ERR(dma_buf_end_cpu_access_many(&access, 1), ECHILD);
	ASSERT_ERRNO(dma_buf_kmap(i->dmabuf, 0), ECHILD);
	ASSERT_ERRNO(dma_buf_kmap_atomic(i->dmabuf, 0), ECHILD);
	dma_buf_kunmap(i->dmabuf, 0, i->vaddr);
	dma_buf_kunmap_atomic(i->dmabuf, 0, i->vaddr);
	ASSERT_ERRNO(dma_buf_vmap(i->dmabuf), ECHILD);
	dma_buf_vunmap(i->dmabuf, i->vaddr);
	ASSERT_ERRNO(dma_buf_mmap(i->dmabuf, 0, 4096, PROT_READ), ECHILD);
	ASSERT_ERR(dma_buf_get_counters(i->dmabuf, &counters), ECHILD);
	ASSERT_ERR(dma_buf_send(sockets[0], i->dmabuf, 0), ECHILD);
	close(sockets[0]);
	close(sockets[1]);
}

static int child_tries_everything(void *arg)
{
	try_every_entry_point(arg);
	return 0;
}

TEST(A3_an_inherited_handle_is_refused_by_every_entry_point)
{
	struct inherited i;

	inherited_init(&i);
	ASSERT_EQ(reap(spawn(child_tries_everything, &i)), 0);
	inherited_fini(&i);
}

static int child_puts(void *arg)
{
	struct inherited *i = arg;

	get_dma_buf(i->dmabuf);
	dma_buf_put(i->dmabuf);
	dma_buf_put(i->dmabuf);
	ASSERT_EQ(exporter.released, 0);
	ASSERT_EQ(exporter.detached, 0);
	ASSERT_ERRNO(dma_buf_map_attachment(i->attach, DMA_TO_DEVICE), EINVAL);
	return 0;
}

TEST(A3_a_child_that_puts_its_parents_handle_harms_nobody)
{
	struct dma_buf_info info;
	struct inherited i;

	inherited_init(&i);
	ASSERT_EQ(reap(spawn(child_puts, &i)), 0);
	info = peer_info(i.dmabuf);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT(info.holders[0].alive);
	ASSERT_EQ(info.attachment_count, 1);
	ASSERT_EQ(info.attachments[0].mapped, 1);
	inherited_fini(&i);
}

static int child_gets_its_own(void *arg)
{
	struct inherited *i = arg;
	struct dma_buf *own = dma_buf_get(i->fd);

	ASSERT(own);
	ASSERT(own != i->dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(own, 0, 16, DMA_TO_DEVICE));
	*(char *)dma_buf_kmap(own, 0) = 42;
	ASSERT_OK(dma_buf_end_cpu_access(own, 0, 16, DMA_TO_DEVICE));
	ASSERT(dma_buf_attach(own, dma_buf_cpu_device()));
	gate_signal(&i->in);
	gate_wait(&i->out);
	dma_buf_put(own);
	return 0;
}

TEST(A3_a_child_gets_a_handle_of_its_own_with_its_own_place)
{
	struct dma_buf_info info;
	struct inherited i;
	unsigned int own;
	pid_t pid;

	inherited_init(&i);
	pid = spawn(child_gets_its_own, &i);
	gate_wait(&i.in);
	info = peer_info(i.dmabuf);
	ASSERT_EQ(info.holder_count, 2);
	own = info.holders[0].pid == pid ? 0 : 1;
	ASSERT_EQ(info.holders[own].pid, pid);
	ASSERT(!info.holders[own].exporter);
	ASSERT(info.holders[!own].exporter);
	ASSERT_EQ(info.attachment_count, 2);
	gate_signal(&i.out);
	ASSERT_EQ(reap(pid), 0);
	ASSERT_EQ(*(char *)i.vaddr, 42);
	ASSERT_EQ(peer_info(i.dmabuf).holder_count, 1);
	inherited_fini(&i);
}

/* What a child keeps of its parent must not make the parent look alive, nor the buffer referred to.
 */
static pid_t bare_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static int die_and_leave_a_child(struct peer *peer, struct dma_buf *dmabuf)
{
	int *bare = peer->arg;
	char byte;
	pid_t pid = bare && *bare ? bare_clone() : fork();

	if (pid == 0) {
		/* The first word to the library drops what a bare clone() inherited. */
		if (bare && *bare) {
			struct dma_buf *own = dma_buf_alloc("own", 4096, O_RDWR);

			dma_buf_put(own);
		}
		peer_tell(peer);
		if (recv(peer->socket, &byte, 1, 0) < 0)
			_exit(1);
		_exit(0);
	}
	peer_wait(peer); /* never: told by a kill */
	return 1;
}

static void parent_dies(int bare)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct dma_buf_info info;
	struct peer peer;

	peer_start(&peer, dmabuf, die_and_leave_a_child, &bare);
	peer_wait(&peer);
	kill(peer.pid, SIGKILL);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 2);
	ASSERT_EQ(info.holders[0].alive + info.holders[1].alive, 1);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 1);
	peer_tell(&peer); /* the child ends; it is ours now */
	ASSERT_EQ(waitpid(-1, NULL, 0) > 0, 1);
	close(peer.socket);
}

TEST(A3_a_parents_death_is_noticed_although_its_child_lives)
{
	parent_dies(0);
}

TEST(A3_a_parents_death_is_noticed_although_its_bare_clone_lives)
{
	parent_dies(1);
}

static int clone_and_put(void *arg)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR), *own;
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), status;
	pid_t pid = bare_clone();

	if (pid == 0) {
		if (dma_buf_fd(dmabuf, 0) != -ECHILD)
			_exit(2);
		dma_buf_put(dmabuf);
		own = dma_buf_get(fd);
		if (!own || dma_buf_begin_cpu_access(own, 0, 1, DMA_TO_DEVICE))
			_exit(3);
		dma_buf_put(own);
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(status, 0);
	close(fd);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(A3_a_bare_clone_may_put_and_get)
{
	clone_and_put(NULL);
}

TEST_HELPER(counter)
{
	/* What exec left: nothing of the library's. */
	return open_fds() > atoi(argv[1]);
}

TEST(A3_exec_drops_everything)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDONLY);
	char number[16];
	int fds;

	snprintf(number, sizeof(number), "%d", open_fds() - 3);
	dma_buf_put(dmabuf);
	fds = open_fds();
	dmabuf = dma_buf_alloc("x", 4096, O_RDONLY);
	ASSERT(open_fds() > fds);
	snprintf(number, sizeof(number), "%d", fds);
	ASSERT_EQ(reap(spawn_helper("counter", number, NULL)), 0);
	dma_buf_put(dmabuf);
}

extern char **environ;

TEST(A3_vfork_and_posix_spawn_leave_the_parent_its_handle)
{
	struct inherited i;
	char *argv[] = { (char *)"true", NULL };
	pid_t pid;

	inherited_init(&i);
	ASSERT_EQ(posix_spawnp(&pid, "true", NULL, NULL, argv, environ), 0);
	ASSERT_EQ(reap(pid), 0);
	pid = vfork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	ASSERT_EQ(reap(pid), 0);
	ASSERT_OK(dma_buf_begin_cpu_access(i.dmabuf, 0, 1, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(i.dmabuf, 0, 1, DMA_TO_DEVICE));
	inherited_fini(&i);
}

struct busy {
	atomic_bool stop;
	int fd;
};

static void *use_the_library(void *arg)
{
	struct dma_buf_attachment *attach;
	struct busy *busy = arg;
	struct dma_buf *dmabuf;

	while (!atomic_load(&busy->stop)) {
		dmabuf = dma_buf_get(busy->fd);
		attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
		dma_buf_map_attachment(attach, DMA_TO_DEVICE);
		dma_buf_kmap(dmabuf, 99); /* fails, and says so */
		dmabuf_set_label("busy");
		dma_buf_detach(dmabuf, attach);
		dma_buf_put(dmabuf);
		dma_buf_put(dma_buf_alloc("short", 4096, O_RDWR));
		dma_buf_unregister_exporter("nobody");
	}
	return NULL;
}

static int use_it_in_the_child(void *arg)
{
	struct busy *busy = arg;
	struct dma_buf_attachment *attach;
	struct dma_buf *own = dma_buf_get(busy->fd);

	ASSERT(own);
	attach = dma_buf_attach(own, dma_buf_cpu_device());
	ASSERT(attach);
	ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_unregister_exporter("nobody"), ENOENT);
	ASSERT_OK(dmabuf_set_label("child"));
	dma_buf_put(own);
	_exit(0); /* what other threads were making at the fork stays in the child's memory */
}

TEST(A3_fork_while_other_threads_use_the_library)
{
	/* Not held by this process: each get makes a handle, and each put ends it. */
	struct busy busy = { .stop = false };
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	pthread_t threads[2];
	int i;

	if (TEST_SANITIZED)
		SKIP("the sanitizer's own locks may be held by other threads at the fork");
	if (test_is_slow())
		SKIP("valgrind counts what the parent's threads had in hand as the child's leaks");
	busy.fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, use_the_library, &busy), 0);
	for (i = 0; i < 200; i++)
		ASSERT_EQ(reap(spawn(use_it_in_the_child, &busy)), 0);
	atomic_store(&busy.stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ASSERT_EQ(peer_info(dmabuf).attachment_count, 0);
	close(busy.fd);
	dma_buf_put(dmabuf);
}

static void *get_and_put(void *arg)
{
	struct busy *busy = arg;

	while (!atomic_load(&busy->stop))
		dma_buf_put(dma_buf_get(busy->fd));
	return NULL;
}

static int wait_for_the_gates_end(void *arg)
{
	struct gate *gate = arg;
	char byte;

	close(gate->fd[1]);
	_exit(read(gate->fd[0], &byte, 1) == 0 ? 0 : 1);
}

/* Forks while a thread makes and drops handles; the children live on. */
static int fork_while_getting(struct peer *peer, struct dma_buf *dmabuf)
{
	struct busy busy = { .stop = false };
	struct gate *gate = peer->arg;
	pthread_t thread;
	int i;

	busy.fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	dma_buf_put(dmabuf);
	ASSERT_EQ(pthread_create(&thread, NULL, get_and_put, &busy), 0);
	for (i = 0; i < 100; i++)
		spawn(wait_for_the_gates_end, gate);
	atomic_store(&busy.stop, true);
	pthread_join(thread, NULL);
	close(busy.fd);
	peer_tell(peer);
	peer_wait(peer);
	_exit(0);
}

static bool one_holder(void *arg)
{
	struct dma_buf_info info = peer_info(arg);
	unsigned int i, alive = 0;

	for (i = 0; i < info.holder_count; i++)
		alive += info.holders[i].alive;
	return alive == 1;
}

TEST(A3_children_forked_at_any_moment_keep_nobodys_place)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct gate gate;
	struct peer peer;

	gate_init(&gate);
	peer_start(&peer, dmabuf, fork_while_getting, &gate);
	peer_wait(&peer);
	ASSERT(one_holder(dmabuf));
	peer_tell(&peer);
	ASSERT_EQ(reap(peer.pid), 0);
	gate_close(&gate);
	while (waitpid(-1, NULL, 0) > 0)
		; /* its children came to us */
	close(peer.socket);
	dma_buf_put(dmabuf);
}

static int count_inherited_mappings(void *arg)
{
	struct dma_buf *dmabuf = arg;

	ASSERT_EQ(buffer_mappings(), 0);
	dma_buf_put(dmabuf);
	ASSERT_EQ(buffer_mappings(), 0);
	return 0;
}

TEST(A3_a_child_inherits_no_mapping_of_a_read_only_share)
{
	struct dma_buf *dmabuf = dma_buf_alloc("share", 4096, O_RDONLY);

	ASSERT(dmabuf);
	ASSERT(buffer_mappings() > 0);
	ASSERT_EQ(reap(spawn(count_inherited_mappings, dmabuf)), 0);
	dma_buf_put(dmabuf);
}
