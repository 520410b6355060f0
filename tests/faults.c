// SPDX-License-Identifier: MIT
/*
 * Every allocation and system call of every public call fails in turn: the call says so with a
 * documented errno and words, or manages without, and nothing is left behind.
 */
#include "faults.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <dmabuf/constraints.h>

#include "hostile.h"
#include "harness.h"

#define SIZE 10000
/* More steps than any call has. */
#define STEPS_MAX 200

/* What a scenario works on; made before the fault is armed. */
struct stage {
	struct dma_buf *dmabuf;
	struct dma_buf *made;
	struct dma_buf_device *dev;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_pool *pool;
	struct dma_buf_pfns *pfns;
	void *mapped;
	int fd;	     /* of a buffer that this process has no handle on */
	int payload; /* and its payload's, if it is split */
	int made_fd;
	int sv[2];
};

struct scenario {
	const char *name;
	/* What the call under test needs. */
	void (*prepare)(struct stage *s);
	/* The call: 0 or a negative errno. */
	int (*call)(struct stage *s);
};

static int pointer(const void *p)
{
	return p ? 0 : -errno;
}

/* A buffer that another process made and left: its bytes under another inode. */
static void foreign(struct stage *s)
{
	size_t size;
	char *bytes = hostile_template(SIZE, &size);

	s->fd = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	free(bytes);
}

static void foreign_share(struct stage *s)
{
	struct dma_buf *share = dma_buf_alloc("share", SIZE, O_RDONLY);
	int fd = dma_buf_fd(share, O_CLOEXEC);
	size_t size = (size_t)lseek(fd, 0, SEEK_END);
	char *bytes = malloc(size);

	ASSERT_EQ(pread(fd, bytes, size, 0), size);
	s->fd = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	s->payload = dma_buf_payload_fd(share, O_CLOEXEC);
	free(bytes);
	close(fd);
	dma_buf_put(share);
}

static void own(struct stage *s)
{
	s->dmabuf = dma_buf_alloc("own", SIZE, O_RDWR);
	ASSERT(s->dmabuf);
}

static void own_share(struct stage *s)
{
	s->dmabuf = dma_buf_alloc("own", SIZE, O_RDONLY);
	ASSERT(s->dmabuf);
}

static void sockets(struct stage *s)
{
	own_share(s);
	socket_pair(SOCK_STREAM, s->sv);
}

static void message(struct stage *s)
{
	foreign(s);
	s->made = dma_buf_get(s->fd);
	ASSERT(s->made);
	socket_pair(SOCK_STREAM, s->sv);
	ASSERT_OK(dma_buf_send(s->sv[0], s->made, 0));
	dma_buf_put(s->made);
	s->made = NULL;
}

static void with_device(struct stage *s)
{
	foreign(s);
	s->dmabuf = dma_buf_get(s->fd);
	ASSERT(s->dmabuf);
	s->dev = hostile_device(false);
}

static void with_shy_device(struct stage *s)
{
	with_device(s);
	dma_buf_device_put(s->dev);
	s->dev = hostile_device(true);
}

static void attached(struct stage *s)
{
	with_device(s);
	s->attach = dma_buf_attach(s->dmabuf, s->dev);
	ASSERT(s->attach);
}

static void shy_attached(struct stage *s)
{
	with_shy_device(s);
	s->attach = dma_buf_attach(s->dmabuf, s->dev);
	ASSERT(s->attach);
}

static struct dma_buf_device *needing(bool physical, bool contiguous)
{
	struct dma_buf_device_parameters needs = { .size = sizeof(needs),
						   .physical = physical,
						   .contiguous = contiguous };
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .name = "needing",
					    .parameters = &needs };
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	ASSERT(dev);
	return dev;
}

static void with_impossible_device(struct stage *s)
{
	own(s);
	s->dev = needing(false, true);
}

static void physical_attached(struct stage *s)
{
	own(s);
	s->dev = needing(true, false);
	s->attach = dma_buf_attach(s->dmabuf, s->dev);
	ASSERT(s->attach);
}

static void with_pool(struct stage *s)
{
	s->pool = dma_buf_pool_create("pool", SIZE, 2);
	ASSERT(s->pool);
}

static int call_export(struct stage *s)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &checked_ops;
	info.size = SIZE;
	info.flags = O_RDWR;
	info.priv = s;
	return pointer(s->made = dma_buf_export(&info));
}

static int call_alloc_share(struct stage *s)
{
	return pointer(s->made = dma_buf_alloc("share", SIZE, O_RDONLY));
}

static int call_fd(struct stage *s)
{
	s->made_fd = dma_buf_fd(s->dmabuf, O_CLOEXEC);
	return s->made_fd < 0 ? s->made_fd : 0;
}

static int call_payload_fd(struct stage *s)
{
	s->made_fd = dma_buf_payload_fd(s->dmabuf, O_CLOEXEC);
	return s->made_fd < 0 ? s->made_fd : 0;
}

static int call_get(struct stage *s)
{
	return pointer(s->made = dma_buf_get(s->fd));
}

static int call_get_split(struct stage *s)
{
	return pointer(s->made = dma_buf_get_split(s->fd, s->payload));
}

static int call_send(struct stage *s)
{
	return dma_buf_send(s->sv[0], s->dmabuf, 100);
}

static int call_recv(struct stage *s)
{
	return pointer(s->made = dma_buf_recv(s->sv[1], 100));
}

static int call_attach(struct stage *s)
{
	return pointer(s->attach = dma_buf_attach(s->dmabuf, s->dev));
}

static int call_map(struct stage *s)
{
	return pointer(s->table = dma_buf_map_attachment(s->attach, DMA_BIDIRECTIONAL));
}

/* 0 if it was refused for what it needs; fewer words for lack of memory are fine. */
static int call_attach_refused(struct stage *s)
{
	ASSERT(!dma_buf_attach(s->dmabuf, s->dev));
	return errno == EINVAL ? 0 : -errno;
}

static int call_explain_attach(struct stage *s)
{
	static struct dma_buf_attach_report report;
	int ret;

	report.struct_size = sizeof(report);
	ret = dma_buf_explain_attach(s->dmabuf, s->dev, DMA_BIDIRECTIONAL, &report);
	ASSERT(ret <= 0);
	return ret;
}

static int call_constraints(struct stage *s)
{
	struct dma_buf_device_parameters all = { .size = sizeof(all) };
	int err = dma_buf_get_constraints(s->dmabuf, &all);

	return err ? err : dma_buf_recalc_constraints(s->dmabuf, &all);
}

/* Who may not see frames is told so, which will do here. */
static int call_map_physical(struct stage *s)
{
	s->table = dma_buf_map_attachment(s->attach, DMA_BIDIRECTIONAL);
	return s->table || (errno == EPERM && geteuid()) ? 0 : -errno;
}

static int call_test_map(struct stage *s)
{
	return dma_buf_test_map_attachment(s->attach, DMA_BIDIRECTIONAL, 0, NULL);
}

static int call_begin(struct stage *s)
{
	int i, err = 0;

	/* More than are kept without an allocation. */
	for (i = 0; i < 6 && !err; i++)
		err = dma_buf_begin_cpu_access(s->dmabuf, 0, SIZE, DMA_BIDIRECTIONAL);
	if (err)
		i--;
	while (i-- > 0)
		ASSERT_OK(dma_buf_end_cpu_access(s->dmabuf, 0, SIZE, DMA_BIDIRECTIONAL));
	ASSERT_ERR(dma_buf_end_cpu_access(s->dmabuf, 0, SIZE, DMA_BIDIRECTIONAL), EINVAL);
	return err;
}

static int call_mmap(struct stage *s)
{
	return pointer(s->mapped = dma_buf_mmap(s->dmabuf, 0, SIZE, PROT_READ));
}

static int call_vmap(struct stage *s)
{
	void *at = dma_buf_vmap(s->dmabuf);

	dma_buf_vunmap(s->dmabuf, at);
	return pointer(at);
}

static int call_scatterlist(struct stage *s)
{
	struct dma_buf_sg_table *table = dma_buf_get_scatterlist(s->dmabuf);

	dma_buf_put_scatterlist(s->dmabuf, table);
	return pointer(table);
}

static int call_pfns(struct stage *s)
{
	int err = pointer(s->pfns = dma_buf_get_pfns(s->dmabuf));

	/* Who may not read them learns that without any fault; sanitizers make mlock() do nothing.
	 */
	return err == -EPERM || err == -EAGAIN ? 0 : err;
}

static int call_pool_create(struct stage *s)
{
	return pointer(s->pool = dma_buf_pool_create("pool", SIZE, 2));
}

static int call_pool_get(struct stage *s)
{
	int err = pointer(s->made = dma_buf_pool_get(s->pool));

	if (s->made)
		dma_buf_pool_put(s->pool, s->made);
	s->made = NULL;
	return err;
}

static int call_info(struct stage *s)
{
	static struct dma_buf_info info;

	info.struct_size = sizeof(info);
	return dma_buf_get_info(s->fd, &info);
}

static int call_device(struct stage *s)
{
	struct dma_buf_device_info info = { .size = sizeof(info), .name = "device" };

	return pointer(s->dev = dma_buf_device_create(&info));
}

static int call_register(struct stage *s)
{
	struct dma_buf_exporter exporter = { .size = sizeof(exporter),
					     .name = "class",
					     .ops = &checked_ops };
	int err = dma_buf_register_exporter(&exporter);

	if (!err)
		ASSERT_OK(dma_buf_unregister_exporter("class"));
	return err;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		ASSERT_OK(close(fd));
}

/* Descriptors first, so that no release has to wait for a thread. */
static void undo(struct stage *s)
{
	close_if_open(s->fd);
	close_if_open(s->payload);
	close_if_open(s->made_fd);
	close_if_open(s->sv[0]);
	close_if_open(s->sv[1]);
	dma_buf_put_pfns(s->dmabuf, s->pfns);
	if (s->mapped)
		ASSERT_OK(dma_buf_munmap(s->mapped, SIZE));
	if (s->attach)
		dma_buf_detach(s->dmabuf, s->attach);
	dma_buf_put(s->made);
	dma_buf_put(s->dmabuf);
	dma_buf_pool_destroy(s->pool);
	dma_buf_device_put(s->dev);
}

static int call_negotiate(struct stage *s)
{
	struct dma_buf_participant cpu = { .device = dma_buf_cpu_device() };
	struct dma_buf_request request = { .struct_size = sizeof(request),
					   .size = SIZE,
					   .participants = &cpu,
					   .participant_count = 1 };
	static struct dma_buf_negotiation answer = { .struct_size = sizeof(answer) };
	char text[4096];
	int ret = dma_buf_negotiate(&request, &answer);

	if (ret > 0)
		ret = dma_buf_explain(&request, &answer, text, sizeof(text));
	if (ret < 0)
		return ret;
	s->made_fd = dma_buf_negotiation_alloc(&answer, "frame", NULL);
	return s->made_fd < 0 ? s->made_fd : 0;
}

static int call_heap(struct stage *s)
{
	s->made_fd = dma_buf_heap_alloc("memfd", "frame", SIZE);
	return s->made_fd < 0 ? s->made_fd : 0;
}

struct amount {
	long allocations;
	int fds, mappings;
};

/* Looking costs a line that the C library allocates, uncounted, and the harness frees, counted. */
static struct amount look(void)
{
	static long skew;
	struct amount a = { .allocations = faults_allocations() - skew };

	a.fds = open_fds();
	a.mappings = buffer_mappings();
	skew = faults_allocations() - a.allocations;
	return a;
}

static void check_nothing_left(const struct amount *before, const char *name, int step,
			       const char *failed)
{
	struct amount now = look();

	if (now.allocations != before->allocations || now.fds != before->fds ||
	    now.mappings != before->mappings)
		FAIL("%s, step %d (%s): left behind: %ld allocations, %d descriptors, %d mappings",
		     name, step, failed, now.allocations - before->allocations,
		     now.fds - before->fds, now.mappings - before->mappings);
}

/* Runs @sc with the fault at @step. Returns false if the call has fewer steps than that. */
static bool run_step(const struct scenario *sc, int step)
{
	struct stage s = { .fd = -1, .payload = -1, .made_fd = -1, .sv = { -1, -1 } };
	struct amount before = look(), prepared;
	const char *failed;
	int err;

	if (sc->prepare)
		sc->prepare(&s);
	prepared = look();
	faults_arm(step);
	err = sc->call(&s);
	failed = faults_disarm();
	if (err && !failed)
		FAIL("%s: fails without a fault: %s", sc->name, dmabuf_last_error());
	if (err && !sane(-err))
		FAIL("%s, step %d (%s): errno %d is not documented or has no words", sc->name, step,
		     failed, -err);
	/* What brackets need is kept with the handle; all else is given back at once. */
	if (err && sc->call != call_begin)
		check_nothing_left(&prepared, sc->name, step, failed);
	undo(&s);
	check_nothing_left(&before, sc->name, step, failed);
	return failed != NULL;
}

static int run_steps(const struct scenario *sc)
{
	int step = 1;

	while (run_step(sc, step))
		ASSERT(step++ < STEPS_MAX);
	return step - 1;
}

static const struct scenario scenarios[] = {
	{ "export", NULL, call_export },
	{ "alloc read-only", NULL, call_alloc_share },
	{ "fd", own, call_fd },
	{ "payload fd", own_share, call_payload_fd },
	{ "get", foreign, call_get },
	{ "get split", foreign_share, call_get_split },
	{ "send", sockets, call_send },
	{ "recv", message, call_recv },
	{ "attach", with_device, call_attach },
	{ "attach, non-coherent", with_shy_device, call_attach },
	{ "attach, refused", with_impossible_device, call_attach_refused },
	{ "explain attach", with_impossible_device, call_explain_attach },
	{ "constraints", attached, call_constraints },
	{ "map", attached, call_map },
	{ "map, physical", physical_attached, call_map_physical },
	{ "test map", attached, call_test_map },
	{ "map, non-coherent", shy_attached, call_map },
	{ "begin", with_device, call_begin },
	{ "begin, non-coherent", shy_attached, call_begin },
	{ "mmap", own, call_mmap },
	{ "vmap", own, call_vmap },
	{ "scatterlist", own, call_scatterlist },
	{ "pfns", own, call_pfns },
	{ "pool create", NULL, call_pool_create },
	{ "pool get", with_pool, call_pool_get },
	{ "info", foreign, call_info },
	{ "device", NULL, call_device },
	{ "register", NULL, call_register },
	{ "negotiate and allocate", NULL, call_negotiate },
	{ "heap", NULL, call_heap },
};

TEST_TIMEOUT(A1_each_allocation_and_system_call_may_fail_and_nothing_is_left, 300)
{
	size_t i;
	int steps;

	for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		steps = run_steps(&scenarios[i]);
		test_note("%s: %d steps", scenarios[i].name, steps);
	}
}

static int lowest_free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	ASSERT_OK(fd);
	close(fd);
	return fd;
}

/* Runs @sc with room for @more descriptors. Returns what the call says. */
static int run_crowded(const struct scenario *sc, int more)
{
	struct stage s = { .fd = -1, .payload = -1, .made_fd = -1, .sv = { -1, -1 } };
	struct amount before = look(), prepared;
	struct rlimit all, few;
	int err;

	if (sc->prepare)
		sc->prepare(&s);
	prepared = look();
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &all));
	few = all;
	few.rlim_cur = (rlim_t)(lowest_free_fd() + more);
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &few));
	err = sc->call(&s);
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &all));
	/* A receiver without a descriptor to spare sees a message without one. */
	if (err && err != -EMFILE && !(sc->call == call_recv && err == -EPROTO))
		FAIL("%s with %d descriptors left: errno %d", sc->name, more, -err);
	if (err)
		check_nothing_left(&prepared, sc->name, more, "no descriptors");
	undo(&s);
	check_nothing_left(&before, sc->name, more, "no descriptors");
	return err;
}

TEST(A2_without_descriptors_calls_say_EMFILE_and_leave_nothing)
{
	static const struct scenario crowded[] = {
		{ "export", NULL, call_export }, { "alloc read-only", NULL, call_alloc_share },
		{ "fd", own, call_fd },		 { "payload fd", own_share, call_payload_fd },
		{ "get", foreign, call_get },	 { "get split", foreign_share, call_get_split },
		{ "recv", message, call_recv },	 { "info", foreign, call_info },
	};
	size_t i;
	int more;

	for (i = 0; i < sizeof(crowded) / sizeof(crowded[0]); i++) {
		ASSERT(run_crowded(&crowded[i], 0) < 0);
		for (more = 1; run_crowded(&crowded[i], more) < 0; more++)
			ASSERT(more < 10);
	}
}

/* The page that tells a process from its children is made by the first call that needs it. */
TEST(A3_a_process_that_starts_without_memory_can_go_on_when_there_is_some)
{
	static const char *const wanted[] = { "mmap64", "madvise" };
	struct dma_buf *dmabuf;
	size_t i;

	for (i = 0; i < 2; i++) {
		faults_arm((int)i + 2);
		dmabuf = dma_buf_alloc("first", SIZE, O_RDWR);
		ASSERT_EQ(dmabuf ? 0 : errno, ENOMEM);
		ASSERT_STR_EQ(faults_disarm(), wanted[i]);
	}
	dmabuf = dma_buf_alloc("first", SIZE, O_RDWR);
	ASSERT(dmabuf);
	dma_buf_put(dmabuf);
}

static int released;

static void count_release(struct dma_buf *dmabuf)
{
	__atomic_fetch_add(&released, 1, __ATOMIC_SEQ_CST);
}

static bool was_released(void *arg)
{
	return __atomic_load_n(&released, __ATOMIC_SEQ_CST) == 1;
}

TEST(A3_a_late_release_comes_even_if_no_thread_could_be_had_for_it_at_first)
{
	struct dma_buf_ops ops = checked_ops;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	const char *failed;
	int fd, step = 1;

	ops.release = count_release;
	info.ops = &ops;
	info.size = SIZE;
	info.flags = O_RDWR;
	info.priv = &info;
	dmabuf = dma_buf_export(&info);
	ASSERT(dmabuf);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	faults_arm(step);
	dma_buf_put(dmabuf);
	failed = faults_disarm();
	ASSERT(failed);
	ASSERT_STR_EQ(failed, "pthread_create");
	ASSERT_OK(close(fd));
	ASSERT(!was_released(NULL));
	/* Any other buffer that comes or goes is an occasion to try again. */
	dma_buf_put(dma_buf_alloc("other", SIZE, O_RDWR));
	ASSERT(eventually(was_released, NULL, 60000));
}
