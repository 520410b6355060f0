// SPDX-License-Identifier: MIT
#include "kernel/vgem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel/dmabuf.h"

#define SYSFS "/sys/class/drm"
#define FENCE_WRITE 1u

/* The kernel's numbers and layouts; <drm/drm.h> is not everywhere. */
struct abi_dumb {
	__u32 height, width, bpp, flags, handle, pitch;
	__u64 size;
};
struct abi_handle {
	__u32 handle;
};
struct abi_prime {
	__u32 handle, flags;
	__s32 fd;
};
struct abi_attach {
	__u32 handle, flags, out_fence, pad;
};
struct abi_signal {
	__u32 fence, flags;
};

#define CREATE_DUMB _IOWR('d', 0xb2, struct abi_dumb)
#define DESTROY_DUMB _IOWR('d', 0xb4, struct abi_handle)
#define HANDLE_TO_FD _IOWR('d', 0x2d, struct abi_prime)
#define FENCE_ATTACH _IOWR('d', 0x41, struct abi_attach)
#define FENCE_SIGNAL _IOW('d', 0x42, struct abi_signal)

static int call(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

/* Which driver a node belongs to, without opening it. */
static int is_vgem(const char *card)
{
	char path[300], target[256];
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), SYSFS "/%s/device", card);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return 0;
	target[n] = '\0';
	name = strrchr(target, '/');
	return !strcmp(name ? name + 1 : target, "vgem");
}

static int open_card(const char *card)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/dev/dri/%s", card);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int vgem_open(void)
{
	const struct dirent *entry;
	DIR *dir = opendir(SYSFS);
	int fd = -ENODEV;

	while (dir && fd == -ENODEV && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "card", 4) && is_vgem(entry->d_name))
			fd = open_card(entry->d_name);
	if (dir)
		closedir(dir);
	return fd;
}

int vgem_carrier_make(int device, struct vgem_carrier *carrier)
{
	struct abi_dumb dumb = { .height = 1, .width = 1024, .bpp = 32 };
	struct abi_prime prime = { .flags = O_CLOEXEC | O_RDWR };
	int err = call(device, CREATE_DUMB, &dumb);

	if (err)
		return err;
	prime.handle = dumb.handle;
	err = call(device, HANDLE_TO_FD, &prime);
	*carrier = (struct vgem_carrier){ .handle = dumb.handle, .dmabuf = prime.fd };
	if (err) {
		carrier->dmabuf = -1;
		vgem_carrier_drop(device, carrier);
	}
	return err;
}

void vgem_carrier_drop(int device, struct vgem_carrier *carrier)
{
	struct abi_handle handle = { .handle = carrier->handle };

	if (carrier->dmabuf >= 0)
		close(carrier->dmabuf);
	carrier->dmabuf = -1;
	(void)call(device, DESTROY_DUMB, &handle);
}

int vgem_fence(int device, const struct vgem_carrier *carrier, uint32_t *number)
{
	struct abi_attach attach = { .handle = carrier->handle, .flags = FENCE_WRITE };
	int err = call(device, FENCE_ATTACH, &attach), file;

	if (err)
		return err;
	file = kernel_export_sync_file(carrier->dmabuf, false);
	if (file < 0)
		vgem_signal(device, attach.out_fence);
	else
		*number = attach.out_fence;
	return file;
}

void vgem_signal(int device, uint32_t number)
{
	struct abi_signal signal = { .fence = number };

	(void)call(device, FENCE_SIGNAL, &signal);
}
