// SPDX-License-Identifier: MIT
#include "drm-fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#include <dmabuf/dma-buf.h>

#include "harness/harness.h"

#define FIRST_CRTC 40u
#define FRAMEBUFFER 7u

static struct fake_drm *the_fake;
static ino_t card_inode;

int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __wrap_dma_buf_kernel_fd(struct dma_buf *dmabuf, int flags);
drmVersionPtr __wrap_drmGetVersion(int fd);
void __wrap_drmFreeVersion(drmVersionPtr version);
int __wrap_drmGetCap(int fd, uint64_t capability, uint64_t *value);
int __wrap_drmPrimeFDToHandle(int fd, int prime_fd, uint32_t *handle);
int __wrap_drmPrimeHandleToFD(int fd, uint32_t handle, uint32_t flags, int *prime_fd);
int __wrap_drmCloseBufferHandle(int fd, uint32_t handle);
int __wrap_drmModeCreateDumbBuffer(int fd, uint32_t width, uint32_t height, uint32_t bpp,
				   uint32_t flags, uint32_t *handle, uint32_t *pitch,
				   uint64_t *size);
int __wrap_drmModeDestroyDumbBuffer(int fd, uint32_t handle);
drmModeResPtr __wrap_drmModeGetResources(int fd);
void __wrap_drmModeFreeResources(drmModeResPtr resources);
drmModeCrtcPtr __wrap_drmModeGetCrtc(int fd, uint32_t crtc);
void __wrap_drmModeFreeCrtc(drmModeCrtcPtr crtc);
drmModeFB2Ptr __wrap_drmModeGetFB2(int fd, uint32_t framebuffer);
void __wrap_drmModeFreeFB2(drmModeFB2Ptr framebuffer);

void fake_init(struct fake_drm *f)
{
	*f = (struct fake_drm){ .prime = DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT,
				.dumb = true,
				.crtcs = 1 };
}

int fake_open(struct fake_drm *f)
{
	int fd = memfd_create("fake-card", MFD_CLOEXEC);
	struct stat st;

	ASSERT_OK(fd);
	ASSERT_OK(__real_fstat64(fd, &st));
	card_inode = st.st_ino;
	the_fake = f;
	return fd;
}

unsigned int fake_handles(const struct fake_drm *f)
{
	unsigned int count = 0;

	for (int i = 0; i < FAKE_OBJECTS; i++)
		count += f->objects[i].handle != 0;
	return count;
}

static void drop(struct fake_drm *f, int i)
{
	close(f->objects[i].fd);
	f->objects[i].handle = 0;
}

void fake_free(struct fake_drm *f)
{
	for (int i = 0; i < FAKE_OBJECTS; i++)
		if (f->objects[i].handle)
			drop(f, i);
	the_fake = NULL;
}

static int fails(int err)
{
	errno = err;
	return -1;
}

/* One more call, which may be the one that is to fail. */
static bool refuses(struct fake_drm *f)
{
	if (++f->calls != f->fail_at)
		return false;
	errno = f->fail_errno;
	return true;
}

static int find(const struct fake_drm *f, uint32_t handle)
{
	for (int i = 0; i < FAKE_OBJECTS; i++)
		if (handle && f->objects[i].handle == handle)
			return i;
	return -1;
}

/* Takes over @fd. */
static uint32_t add(struct fake_drm *f, int fd)
{
	int i = 0;

	ASSERT_OK(fd);
	while (i < FAKE_OBJECTS && f->objects[i].handle)
		i++;
	ASSERT(i < FAKE_OBJECTS);
	f->objects[i].handle = ++f->last_handle;
	f->objects[i].fd = fd;
	return f->last_handle;
}

uint32_t fake_object(struct fake_drm *f, uint64_t size)
{
	struct dma_buf *dmabuf = dma_buf_alloc("driver", size, O_RDWR);
	uint32_t handle;

	ASSERT(dmabuf);
	handle = add(f, dma_buf_fd(dmabuf, O_CLOEXEC));
	dma_buf_put(dmabuf);
	return handle;
}

int __wrap_fstat64(int fd, struct stat *st)
{
	int ret = __real_fstat64(fd, st);

	if (ret == 0 && the_fake && st->st_ino == card_inode) {
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = makedev(226, 250);
	}
	return ret;
}

int __wrap_dma_buf_kernel_fd(struct dma_buf *dmabuf, int flags)
{
	return dma_buf_fd(dmabuf, flags);
}

drmVersionPtr __wrap_drmGetVersion(int fd)
{
	drmVersionPtr version;

	if (refuses(the_fake))
		return NULL;
	version = calloc(1, sizeof(*version));
	ASSERT(version);
	version->name = strdup("fake");
	version->name_len = 4;
	return version;
}

void __wrap_drmFreeVersion(drmVersionPtr version)
{
	free(version->name);
	free(version);
}

int __wrap_drmGetCap(int fd, uint64_t capability, uint64_t *value)
{
	if (refuses(the_fake))
		return -1;
	*value = capability == DRM_CAP_PRIME ? the_fake->prime : the_fake->dumb;
	return 0;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	return __real_fstat64(fd, &st) < 0 ? 0 : st.st_ino;
}

/* The same memory has the same handle. */
int __wrap_drmPrimeFDToHandle(int fd, int prime_fd, uint32_t *handle)
{
	struct fake_drm *f = the_fake;

	if (refuses(f))
		return -1;
	for (int i = 0; i < FAKE_OBJECTS; i++) {
		if (!f->objects[i].handle || inode_of(f->objects[i].fd) != inode_of(prime_fd))
			continue;
		*handle = f->objects[i].handle;
		return 0;
	}
	*handle = add(f, fcntl(prime_fd, F_DUPFD_CLOEXEC, 0));
	return 0;
}

int __wrap_drmPrimeHandleToFD(int fd, uint32_t handle, uint32_t flags, int *prime_fd)
{
	int i = find(the_fake, handle);

	if (refuses(the_fake))
		return -1;
	if (i < 0)
		return fails(ENOENT);
	*prime_fd = fcntl(the_fake->objects[i].fd, F_DUPFD_CLOEXEC, 0);
	return *prime_fd < 0 ? -1 : 0;
}

static int close_handle(uint32_t handle)
{
	int i = find(the_fake, handle);

	if (i < 0)
		return fails(EINVAL);
	drop(the_fake, i);
	return 0;
}

/* Closing does not fail for what there is. */
int __wrap_drmCloseBufferHandle(int fd, uint32_t handle)
{
	return close_handle(handle);
}

int __wrap_drmModeDestroyDumbBuffer(int fd, uint32_t handle)
{
	return close_handle(handle);
}

int __wrap_drmModeCreateDumbBuffer(int fd, uint32_t width, uint32_t height, uint32_t bpp,
				   uint32_t flags, uint32_t *handle, uint32_t *pitch,
				   uint64_t *size)
{
	if (refuses(the_fake))
		return -1;
	*pitch = (width * bpp / 8 + 63) / 64 * 64;
	*size = (uint64_t)*pitch * height;
	*handle = fake_object(the_fake, *size);
	if (the_fake->dumb_size)
		*size = the_fake->dumb_size;
	return 0;
}

drmModeResPtr __wrap_drmModeGetResources(int fd)
{
	drmModeResPtr all;

	if (refuses(the_fake))
		return NULL;
	all = calloc(1, sizeof(*all));
	ASSERT(all);
	all->count_crtcs = (int)the_fake->crtcs;
	all->crtcs = calloc(the_fake->crtcs + 1, sizeof(*all->crtcs));
	ASSERT(all->crtcs);
	for (uint32_t i = 0; i < the_fake->crtcs; i++)
		all->crtcs[i] = FIRST_CRTC + i;
	return all;
}

void __wrap_drmModeFreeResources(drmModeResPtr all)
{
	free(all->crtcs);
	free(all);
}

drmModeCrtcPtr __wrap_drmModeGetCrtc(int fd, uint32_t crtc)
{
	drmModeCrtcPtr answer;

	if (refuses(the_fake))
		return NULL;
	answer = calloc(1, sizeof(*answer));
	ASSERT(answer);
	answer->crtc_id = crtc;
	answer->buffer_id = crtc == the_fake->shows ? FRAMEBUFFER : 0;
	return answer;
}

void __wrap_drmModeFreeCrtc(drmModeCrtcPtr crtc)
{
	free(crtc);
}

/* Each memory gets a handle anew. */
static void new_handles(drmModeFB2Ptr fb)
{
	const uint32_t *given = the_fake->framebuffer.handles;

	for (int i = 0; i < 4; i++) {
		int same = 0;

		while (given[same] != given[i])
			same++;
		if (!given[i])
			continue;
		fb->handles[i] = same < i
					 ? fb->handles[same]
					 : add(the_fake,
					       fcntl(the_fake->objects[find(the_fake, given[i])].fd,
						     F_DUPFD_CLOEXEC, 0));
	}
}

drmModeFB2Ptr __wrap_drmModeGetFB2(int fd, uint32_t framebuffer)
{
	drmModeFB2Ptr fb;

	if (refuses(the_fake))
		return NULL;
	if (framebuffer != FRAMEBUFFER || the_fake->vanishes) {
		the_fake->vanishes--;
		fails(ENOENT);
		return NULL;
	}
	fb = calloc(1, sizeof(*fb));
	ASSERT(fb);
	*fb = the_fake->framebuffer;
	new_handles(fb);
	return fb;
}

void __wrap_drmModeFreeFB2(drmModeFB2Ptr fb)
{
	free(fb);
}
