// SPDX-License-Identifier: MIT
/*
 * Exporters by class name: the ops that a process uses for buffers of others. Rows A1 and A3.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"

static struct counting_exporter exporter, own;
static int opened, closed, refuse;

static int class_open(struct dma_buf *dmabuf)
{
	if (refuse)
		return refuse;
	opened++;
	dmabuf->priv = &own;
	return 0;
}

static void class_close(struct dma_buf *dmabuf)
{
	ASSERT(dmabuf->priv == &own);
	closed++;
}

static const struct dma_buf_exporter class = {
	.size = sizeof(class),
	.name = "counting",
	.ops = &counting_ops,
	.open = class_open,
	.close = class_close,
};

TEST(A1_registration_is_checked)
{
	struct dma_buf_exporter bad = class;
	struct dma_buf_ops ops = counting_ops;

	ASSERT_ERR(dma_buf_register_exporter(NULL), EINVAL);
	bad.size = 1;
	ASSERT_ERR(dma_buf_register_exporter(&bad), EINVAL);
	bad = class;
	bad.name = "";
	ASSERT_ERR(dma_buf_register_exporter(&bad), EINVAL);
	bad.name = NULL;
	ASSERT_ERR(dma_buf_register_exporter(&bad), EINVAL);
	bad = class;
	bad.ops = NULL;
	ASSERT_ERR(dma_buf_register_exporter(&bad), EINVAL);
	bad.ops = &ops;
	ops.release = NULL;
	ASSERT_ERR(dma_buf_register_exporter(&bad), EINVAL);
	ASSERT_ERR(dma_buf_unregister_exporter("counting"), ENOENT);
	ASSERT_ERR(dma_buf_unregister_exporter(NULL), ENOENT);
}

TEST(A1_a_name_is_registered_once)
{
	struct dma_buf_exporter builtin = class;

	ASSERT_OK(dma_buf_register_exporter(&class));
	ASSERT_ERR(dma_buf_register_exporter(&class), EEXIST);
	builtin.name = "memfd";
	ASSERT_ERR(dma_buf_register_exporter(&builtin), EEXIST);
	ASSERT_OK(dma_buf_unregister_exporter("counting"));
	ASSERT_ERR(dma_buf_unregister_exporter("counting"), ENOENT);
	ASSERT_OK(dma_buf_register_exporter(&class));
	ASSERT_OK(dma_buf_unregister_exporter("counting"));
}

static int use_registered(struct peer *peer, struct dma_buf *dmabuf)
{
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct dma_buf_attachment *attach;

	dma_buf_put(dmabuf);
	ASSERT_OK(dma_buf_register_exporter(&class));
	dmabuf = dma_buf_get(fd);
	ASSERT(dmabuf);
	ASSERT_EQ(opened, 1);
	ASSERT(dmabuf->ops == &counting_ops);
	ASSERT(dmabuf->priv == &own);
	ASSERT(dma_buf_get(fd) == dmabuf);
	ASSERT_EQ(opened, 1);
	dma_buf_put(dmabuf);
	attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	ASSERT_EQ(own.attached, 1);
	ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE));
	ASSERT_EQ(own.mapped, 1);
	ASSERT_ERR(dma_buf_unregister_exporter("counting"), EBUSY);
	ASSERT_EQ(closed, 0);
	dma_buf_put(dmabuf);
	ASSERT_EQ(own.unmapped, 1);
	ASSERT_EQ(own.detached, 1);
	ASSERT_EQ(own.released, 0); /* that is for the exporting process */
	ASSERT_EQ(closed, 1);
	ASSERT_OK(dma_buf_unregister_exporter("counting"));
	close(fd);
	return 0;
}

TEST(A3_a_registered_class_runs_its_ops_in_the_process_that_calls)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct peer peer;

	peer_start(&peer, dmabuf, use_registered, NULL);
	peer_end(&peer);
	ASSERT_EQ(exporter.attached, 0);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 1);
}

static int use_unknown(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);

	ASSERT_STR_EQ(dmabuf->exp_name, "counting");
	ASSERT(dmabuf->ops != &counting_ops);
	ASSERT(!dmabuf->priv);
	ASSERT(table);
	ASSERT_EQ(dma_buf_sg_length(table), 4096);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 4096, DMA_TO_DEVICE));
	strcpy(dma_buf_kmap(dmabuf, 0), "hello");
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 4096, DMA_TO_DEVICE));
	dma_buf_put(dmabuf);
	return 0;
}

TEST(A3_an_unknown_class_is_plain_memory)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct peer peer;

	peer_start(&peer, dmabuf, use_unknown, NULL);
	peer_end(&peer);
	ASSERT_STR_EQ(dma_buf_vmap(dmabuf), "hello");
	dma_buf_put(dmabuf);
}

static int be_refused(struct peer *peer, struct dma_buf *dmabuf)
{
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), fds;

	dma_buf_put(dmabuf);
	ASSERT_OK(dma_buf_register_exporter(&class));
	refuse = -ENXIO;
	fds = open_fds();
	ASSERT_ERRNO(dma_buf_get(fd), ENXIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "counting");
	ASSERT_EQ(open_fds(), fds);
	ASSERT_EQ(closed, 0);
	ASSERT_OK(dma_buf_unregister_exporter("counting"));
	close(fd);
	return 0;
}

TEST(A3_the_open_hook_may_refuse_and_leaves_no_place_taken)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct peer peer;

	peer_start(&peer, dmabuf, be_refused, NULL);
	peer_end(&peer);
	ASSERT_EQ(peer_info(dmabuf).holder_count, 1);
	ASSERT_EQ(peer_info(dmabuf).counters.recovered, 0);
	dma_buf_put(dmabuf);
}

TEST(A1_an_exporter_of_its_own_needs_no_registration)
{
	struct dma_buf *dmabuf;
	int fd;

	ASSERT_OK(dma_buf_register_exporter(&class));
	dmabuf = counting_export(&exporter, 4096, O_RDWR);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	ASSERT(dma_buf_get(fd) == dmabuf);
	ASSERT_EQ(opened, 0);
	ASSERT(dmabuf->priv == &exporter);
	ASSERT_OK(dma_buf_unregister_exporter("counting"));
	dma_buf_put(dmabuf);
	close(fd);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 1);
	ASSERT_EQ(closed, 0);
}
