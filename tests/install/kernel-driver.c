// SPDX-License-Identifier: MIT
/*
 * A small exporter and a small importer, written as they would be in the kernel. Compiled as C and
 * as C++ against the installed library and run.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <dmabuf/kernel.h>

struct camera {
	struct device *dev;
	int frames;
	int released;
};

static int camera_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	(void)dmabuf;
	if (dma_get_max_seg_size(attach->dev) < PAGE_SIZE)
		return -EINVAL;
	attach->priv = kzalloc(sizeof(int), GFP_KERNEL);
	return attach->priv ? 0 : -ENOMEM;
}

static void camera_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	(void)dmabuf;
	kfree(attach->priv);
}

static struct sg_table *camera_map(struct dma_buf_attachment *attach,
				   enum dma_data_direction direction)
{
	struct camera *cam = (struct camera *)attach->dmabuf->priv;

	if (direction == DMA_TO_DEVICE)
		return (struct sg_table *)ERR_PTR(-EPERM);
	cam->frames++;
	return dma_buf_memory_map(attach, direction);
}

static void camera_unmap(struct dma_buf_attachment *attach, struct sg_table *table,
			 enum dma_data_direction direction)
{
	dma_buf_memory_unmap(attach, table, direction);
}

static void camera_release(struct dma_buf *dmabuf)
{
	((struct camera *)dmabuf->priv)->released++;
}

static struct dma_buf *camera_export(struct camera *cam, size_t size)
{
	static struct dma_buf_ops ops;
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);

	ops.attach = camera_attach;
	ops.detach = camera_detach;
	ops.map_dma_buf = camera_map;
	ops.unmap_dma_buf = camera_unmap;
	ops.kmap = dma_buf_memory_kmap;
	ops.kmap_atomic = dma_buf_memory_kmap;
	ops.release = camera_release;
	exp_info.ops = &ops;
	exp_info.size = PAGE_ALIGN(size);
	exp_info.flags = O_RDWR;
	exp_info.priv = cam;
	return dma_buf_export(&exp_info);
}

/* Adds up what the device would transfer. */
static long importer_use(struct device *dev, int fd)
{
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;
	struct scatterlist *sg;
	struct sg_table *sgt;
	unsigned int i;
	long bytes = 0;

	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	attach = dma_buf_attach(dmabuf, dev);
	if (IS_ERR(attach)) {
		bytes = PTR_ERR(attach);
		goto put;
	}
	sgt = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	if (!IS_ERR(sgt) || PTR_ERR(sgt) != -EPERM)
		bytes = -1000000;
	sgt = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);
	if (IS_ERR(sgt)) {
		bytes = PTR_ERR(sgt);
		goto detach;
	}
	for_each_sgtable_dma_sg(sgt, sg, i)
	{
		if (sg_dma_len(sg) > dma_get_max_seg_size(dev) || !sg_dma_address(sg))
			bytes = -1000000;
		bytes += (long)sg_dma_len(sg);
	}
	dma_buf_unmap_attachment(attach, sgt, DMA_FROM_DEVICE);
detach:
	dma_buf_detach(dmabuf, attach);
put:
	dma_buf_put(dmabuf);
	return bytes;
}

static struct device *disk_create(uint64_t max_segment_size)
{
	struct device_dma_parameters parameters;
	struct dma_buf_device_info info;

	memset(&parameters, 0, sizeof(parameters));
	parameters.size = sizeof(parameters);
	parameters.max_segment_size = max_segment_size;
	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);
	info.name = "disk";
	info.parameters = &parameters;
	return dma_buf_device_create(&info);
}

static int tables_work(void)
{
	struct sg_table table;
	struct scatterlist *sg;
	unsigned int i, bytes = 0;

	if (sg_alloc_table(&table, 3, GFP_KERNEL))
		return 0;
	for_each_sg(table.sgl, sg, table.orig_nents, i) sg_set_buf(sg, &table, 10 + i);
	for_each_sgtable_sg(&table, sg, i) bytes +=
		sg_virt(sg) == &table ? (unsigned int)sg->length : 0;
	sg_free_table(&table);
	return bytes == 33;
}

static int check(const char *what, int good)
{
	if (!good)
		fprintf(stderr, "not so: %s; %s\n", what, dmabuf_last_error());
	return !good;
}

int main(void)
{
	struct camera cam = { NULL, 0, 0 };
	struct device *disk = disk_create(4096), *narrow = disk_create(512);
	struct dma_buf *dmabuf = camera_export(&cam, 10000);
	int failures = 0, fd;

	if (IS_ERR(dmabuf) || IS_ERR(disk) || IS_ERR(narrow))
		return check("everything could be made", 0);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	failures += check("the disk reaches all pages", importer_use(disk, fd) == 12288);
	failures += check("a narrow disk is refused", importer_use(narrow, fd) == -EINVAL);
	failures += check("mapped once", cam.frames == 1);
	failures += check("a bad descriptor is refused", importer_use(disk, -1) == -EBADF);
	failures += check("tables work", tables_work());
	failures += check("names", strcmp(dev_name(disk), "disk") == 0);
	close(fd);
	dma_buf_put(dmabuf);
	failures += check("released once", cam.released == 1);
	put_device(disk);
	put_device(narrow);
	return failures;
}
