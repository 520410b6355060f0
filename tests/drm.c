// SPDX-License-Identifier: MIT
/*
 * DRM devices. What needs one looks for vgem, a driver without a device that imports and exports,
 * or virtio-gpu, which only exports, and is skipped where there is none.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices/drm.h"
#include "harness/harness.h"
#include "kernel-util.h"

#define SIZE 8192

/* The card of driver @name, or a skip. */
static struct dma_buf_device *open_driver(const char *name)
{
	struct dma_buf_device *dev = find_card(name);

	if (dev)
		return dev;
	SKIP("no %s here", name);
}

static uint32_t imported(struct dma_buf_device *dev)
{
	struct dma_buf_drm_info info = { .size = sizeof(info) };

	ASSERT_OK(dma_buf_drm_get_info(dev, &info));
	return info.imported;
}

static struct dma_buf *make_picture(struct dma_buf_device *dev)
{
	struct dma_buf_drm_picture picture = {
		.size = sizeof(picture), .width = 64, .height = 32, .bits_per_pixel = 32
	};
	struct dma_buf *buf = dma_buf_drm_alloc(dev, &picture, "picture");

	ASSERT(buf);
	ASSERT_EQ(picture.stride, 256);
	ASSERT(picture.bytes >= SIZE);
	ASSERT_EQ(buf->size, picture.bytes);
	return buf;
}

static void fill(struct dma_buf *buf, unsigned char seed)
{
	unsigned char *bytes = dma_buf_vmap(buf);

	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	for (int i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)(i * 7 + seed);
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_TO_DEVICE));
	dma_buf_vunmap(buf, bytes);
}

static bool is_filled(struct dma_buf *buf, unsigned char seed)
{
	unsigned char *bytes = dma_buf_vmap(buf);
	bool good = true;

	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	for (int i = 0; i < SIZE; i++)
		good = good && bytes[i] == (unsigned char)(i * 7 + seed);
	ASSERT_OK(dma_buf_end_cpu_access(buf, 0, SIZE, DMA_FROM_DEVICE));
	dma_buf_vunmap(buf, bytes);
	return good;
}

/* A buffer that is with @dev. */
struct guest {
	struct dma_buf *buf;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
};

static void guest_begin(struct guest *g, struct dma_buf *buf, struct dma_buf_device *dev)
{
	g->buf = buf;
	g->attach = dma_buf_attach(buf, dev);
	ASSERT(g->attach);
	g->table = dma_buf_map_attachment(g->attach, DMA_TO_DEVICE);
	ASSERT(g->table);
}

static void guest_end(struct guest *g)
{
	ASSERT_OK(dma_buf_unmap_attachment(g->attach, g->table, DMA_TO_DEVICE));
	dma_buf_detach(g->buf, g->attach);
}

TEST(H1_what_is_no_drm_device_is_refused)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int only = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct dma_buf_drm_info info = { .size = sizeof(info) };

	ASSERT_ERRNO(dma_buf_drm_open(null, NULL), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "null is no DRM device");
	/* Its driver is not even asked: an ioctl could mean anything to it. */
	ASSERT(!strstr(dmabuf_last_error(), strerror(ENOTTY)));
	ASSERT_ERRNO(dma_buf_drm_open(null, ""), EINVAL);
	ASSERT_ERRNO(dma_buf_drm_open(only, NULL), EBADF);
	ASSERT_ERRNO(dma_buf_drm_open(-1, NULL), EBADF);
	ASSERT_ERR(dma_buf_drm_get_info(dma_buf_cpu_device(), &info), EINVAL);
	ASSERT_ERR(dma_buf_drm_get_info(NULL, &info), EINVAL);
	ASSERT_ERRNO(dma_buf_drm_export(dma_buf_cpu_device(), 1), EINVAL);
	close(only);
	close(null);
}

TEST(H1_attachments_of_other_devices_have_no_drm_handle)
{
	struct dma_buf *buf = dma_buf_alloc("plain", SIZE, O_RDWR);
	uint32_t handle = 7;
	struct guest g;

	ASSERT(buf);
	guest_begin(&g, buf, dma_buf_cpu_device());
	ASSERT_ERR(dma_buf_drm_import(g.attach, g.table, DMA_TO_DEVICE, &handle), EINVAL);
	ASSERT_ERR(dma_buf_drm_import(NULL, g.table, DMA_TO_DEVICE, &handle), EINVAL);
	ASSERT_EQ(handle, 7);
	guest_end(&g);
	dma_buf_put(buf);
}

/* What sysfs has of a device, made in a directory of the test's own. */
static void make_sysfs(const char *root, const char *driver, bool iommu, const char *bits)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path),
		 "mkdir -p %s/dev/char/226:5/device && ln -s ../../../drivers/%s "
		 "%s/dev/char/226:5/device/driver",
		 root, driver, root);
	ASSERT_EQ(system(path), 0); /* NOLINT(cert-env33-c) */
	if (iommu) {
		snprintf(path, sizeof(path), "%s/dev/char/226:5/device/iommu_group", root);
		ASSERT_OK(mkdir(path, 0700));
	}
	snprintf(path, sizeof(path), "%s/dev/char/226:5/device/dma_mask_bits", root);
	f = fopen(path, "we");
	ASSERT(f);
	fputs(bits, f);
	fclose(f);
}

static void remove_sysfs(const char *root)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	ASSERT_EQ(system(command), 0); /* NOLINT(cert-env33-c) */
}

TEST(F1_a_drm_devices_needs_are_what_sysfs_says_and_is_known_of_its_driver)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p) };
	char root[] = "/tmp/drm-sysfs-XXXXXX", with[] = "/tmp/drm-sysfs-XXXXXX";

	ASSERT(mkdtemp(root));
	ASSERT(mkdtemp(with));
	make_sysfs(root, "imx-drm", false, "32\n");
	ASSERT_EQ(drm_parameters(makedev(226, 5), root, &p),
		  DMA_BUF_FROM_KERNEL | DMA_BUF_FROM_TABLE);
	ASSERT(p.contiguous);
	ASSERT_EQ(p.dma_mask, 0xffffffff);
	/* Nobody has so few. */
	make_sysfs(with, "imx-drm", true, "3\n");
	ASSERT_OK(drm_parameters(makedev(226, 5), with, &p));
	ASSERT(!p.contiguous);
	ASSERT_EQ(p.dma_mask, 0);
	ASSERT_ERR(drm_parameters(makedev(226, 6), root, &p), ENOENT);
	ASSERT_ERR(drm_parameters(makedev(1, 5), root, &p), ENOENT);
	remove_sysfs(with);
	remove_sysfs(root);
}

TEST(H1_a_picture_of_a_drm_device_is_a_buffer)
{
	struct dma_buf_device *dev = open_driver("vgem");
	struct dma_buf *buf = make_picture(dev), *again;
	int fd = dma_buf_fd(buf, O_CLOEXEC);

	ASSERT_OK(fd);
	fill(buf, 1);
	again = dma_buf_get(fd);
	ASSERT(again == buf);
	ASSERT(is_filled(again, 1));
	close(fd);
	dma_buf_put(again);
	dma_buf_put(buf);
	dma_buf_device_put(dev);
}

TEST(H1_a_picture_that_no_driver_can_make_is_refused)
{
	struct dma_buf_device *dev = open_driver("vgem");
	struct dma_buf_drm_picture none = { .size = sizeof(none), .width = 64, .height = 32 };
	struct dma_buf_drm_picture huge = { .size = sizeof(huge),
					    .width = UINT32_MAX,
					    .height = UINT32_MAX,
					    .bits_per_pixel = 32 };

	ASSERT_ERRNO(dma_buf_drm_alloc(dev, &none, NULL), EINVAL);
	ASSERT(!dma_buf_drm_alloc(dev, &huge, NULL));
	ASSERT_EQ(huge.stride, 0);
	none.size = 3;
	ASSERT_ERRNO(dma_buf_drm_alloc(dev, &none, NULL), EINVAL);
	ASSERT_ERRNO(dma_buf_drm_export(dev, 4711), ENOENT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "has no handle 4711");
	dma_buf_device_put(dev);
}

TEST(H1_an_imported_buffer_is_the_same_memory)
{
	struct dma_buf_device *maker = open_driver("vgem"), *dev = open_driver("vgem");
	struct dma_buf *buf = make_picture(maker), *back;
	uint32_t handle, again;
	struct guest g;

	fill(buf, 2);
	guest_begin(&g, buf, dev);
	ASSERT_EQ(imported(dev), 0);
	ASSERT_OK(dma_buf_drm_import(g.attach, g.table, DMA_TO_DEVICE, &handle));
	ASSERT_OK(dma_buf_drm_import(g.attach, g.table, DMA_TO_DEVICE, &again));
	ASSERT_EQ(handle, again);
	ASSERT_EQ(imported(dev), 1);
	back = dma_buf_drm_export(dev, handle);
	ASSERT(back == buf); /* the kernel gives the same dma-buf, we the same handle */
	ASSERT(is_filled(back, 2));
	dma_buf_put(back);
	guest_end(&g);
	ASSERT_EQ(imported(dev), 0);
	ASSERT_ERRNO(dma_buf_drm_export(dev, handle), ENOENT);
	dma_buf_put(buf);
	dma_buf_device_put(dev);
	dma_buf_device_put(maker);
}

TEST(H1_two_tables_of_one_buffer_share_a_handle_until_the_last_goes)
{
	struct dma_buf_device *dev = open_driver("vgem");
	struct dma_buf *buf = make_picture(dev), *back;
	uint32_t one, other;
	struct guest g[2];

	guest_begin(&g[0], buf, dev);
	guest_begin(&g[1], buf, dev);
	ASSERT_OK(dma_buf_drm_import(g[0].attach, g[0].table, DMA_TO_DEVICE, &one));
	ASSERT_OK(dma_buf_drm_import(g[1].attach, g[1].table, DMA_TO_DEVICE, &other));
	ASSERT_EQ(one, other);
	guest_end(&g[0]);
	back = dma_buf_drm_export(dev, other);
	ASSERT(back);
	dma_buf_put(back);
	guest_end(&g[1]);
	ASSERT_ERRNO(dma_buf_drm_export(dev, other), ENOENT);
	dma_buf_put(buf);
	dma_buf_device_put(dev);
}

TEST(H1_ordinary_memory_is_imported_where_there_is_udmabuf)
{
	struct dma_buf_device *dev = open_driver("vgem");
	struct dma_buf *buf = dma_buf_alloc("native", SIZE, O_RDWR), *back;
	uint32_t handle = 7;
	struct guest g;
	int err;

	ASSERT(buf);
	fill(buf, 3);
	guest_begin(&g, buf, dev);
	err = dma_buf_drm_import(g.attach, g.table, DMA_TO_DEVICE, &handle);
	if (access("/dev/udmabuf", R_OK | W_OK) < 0) {
		ASSERT_EQ(err, -ENODEV);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "udmabuf");
		ASSERT_EQ(handle, 7);
	} else {
		ASSERT_OK(err);
		back = dma_buf_drm_export(dev, handle);
		ASSERT(back);
		ASSERT(is_filled(back, 3));
		dma_buf_put(back);
	}
	guest_end(&g);
	dma_buf_put(buf);
	dma_buf_device_put(dev);
}

TEST(H1_a_driver_that_takes_nothing_says_what_to_do)
{
	struct dma_buf_device *vgem = open_driver("vgem"), *gpu = open_driver("virtio_gpu");
	struct dma_buf *picture = make_picture(gpu), *foreign = make_picture(vgem);
	uint32_t handle = 7;
	struct guest g;

	/* The other way round it goes. */
	fill(picture, 4);
	guest_begin(&g, picture, vgem);
	ASSERT_OK(dma_buf_drm_import(g.attach, g.table, DMA_TO_DEVICE, &handle));
	guest_end(&g);
	ASSERT(is_filled(picture, 4));
	handle = 7;
	guest_begin(&g, foreign, gpu);
	if (dma_buf_drm_import(g.attach, g.table, DMA_TO_DEVICE, &handle) == -EOPNOTSUPP) {
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "takes no buffers of others");
		ASSERT_EQ(handle, 7);
	}
	guest_end(&g);
	dma_buf_put(foreign);
	dma_buf_put(picture);
	dma_buf_device_put(gpu);
	dma_buf_device_put(vgem);
}

struct handed {
	struct dma_buf_device *dev;
	struct guest g;
};

static int in_a_child(void *arg)
{
	struct handed *h = arg;
	uint32_t handle;

	return dma_buf_drm_import(h->g.attach, h->g.table, DMA_TO_DEVICE, &handle) == -ECHILD &&
			       !dma_buf_drm_export(h->dev, 1) && errno == ECHILD
		       ? 0
		       : 1;
}

static int leaves(void *arg)
{
	_exit(in_a_child(arg));
}

TEST(H1_a_child_does_not_close_its_parents_handles)
{
	struct dma_buf_device *dev = open_driver("vgem");
	struct dma_buf *buf = make_picture(dev), *back;
	struct handed h = { .dev = dev };
	uint32_t handle;

	guest_begin(&h.g, buf, dev);
	ASSERT_OK(dma_buf_drm_import(h.g.attach, h.g.table, DMA_TO_DEVICE, &handle));
	ASSERT_EQ(reap(spawn(leaves, &h)), 0);
	back = dma_buf_drm_export(dev, handle);
	ASSERT(back);
	dma_buf_put(back);
	guest_end(&h.g);
	dma_buf_put(buf);
	dma_buf_device_put(dev);
}

TEST(H1_a_drm_device_says_what_it_is)
{
	struct dma_buf_device *dev = open_driver("vgem");
	char text[128];

	ASSERT_OK(dma_buf_drm_describe(dev, text, sizeof(text)));
	ASSERT_STR_EQ(text, "vgem, imports, exports, makes pictures");
	ASSERT_ERR(dma_buf_drm_describe(dev, text, 5), ENOSPC);
	ASSERT_ERR(dma_buf_drm_describe(dev, text, 0), EINVAL);
	dma_buf_device_put(dev);
}
