// SPDX-License-Identifier: MIT
/* The same in C++, with handles that put themselves. */
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <memory>

#include <dmabuf.h>

struct put {
	void operator()(dma_buf *buf) const
	{
		dma_buf_put(buf);
	}
};
using handle = std::unique_ptr<dma_buf, put>;

int main()
{
	handle buf(dma_buf_alloc("greeting", 4096, O_RDWR));

	if (!buf) {
		std::cerr << dmabuf_last_error() << '\n';
		return 1;
	}
	dma_buf_access access{ buf.get(), 0, 6, DMA_TO_DEVICE };
	if (dma_buf_begin_cpu_access_many(&access, 1) < 0)
		return 1;
	auto *text = static_cast<char *>(dma_buf_vmap(buf.get()));
	std::memcpy(text, "hello", 6);
	dma_buf_vunmap(buf.get(), text);
	dma_buf_end_cpu_access_many(&access, 1);

	const int fd = dma_buf_fd(buf.get(), O_CLOEXEC);
	handle again(dma_buf_get(fd));
	close(fd);
	std::cout << "libdmabuf " << dmabuf_version() << '\n';
	return again == nullptr;
}
