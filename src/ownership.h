/* SPDX-License-Identifier: MIT */
/*
 * Hands a buffer between CPU and devices: asks coherency.h which cache operations a transition
 * needs, has them done, and counts. As long as no mapping was ever non-coherent there is nothing to
 * keep track of, and a transition is one load.
 */
#ifndef DMABUF_SRC_OWNERSHIP_H
#define DMABUF_SRC_OWNERSHIP_H

#include "buffer.h"

/* A non-coherent device comes: keep track from now on. 0 or -errno with words. */
int ownership_track(struct buffer *b);

/*
 * All bytes were copied by the CPU to other memory, which takes the place of what the buffer had:
 * before it does. Nobody has an access meanwhile.
 */
void ownership_replaced(struct buffer *b);

/* Clean up after dead clients, and do to the caches what they left to be done. */
void ownership_recover(struct buffer *b);

/*
 * An access that writes is about to begin, or has ended: kept in the client's slot, whether tracked
 * or not, so that tracking can start while brackets are open. Holds of the reservation need no
 * count of their own: the reservation says who holds, also those from before tracking began.
 */
void ownership_count_writer(struct buffer *b, enum dma_data_direction dir, int change);

/*
 * The CPU begins, or ends, access to [start, start + len), and counts as a writer if it is one: by
 * the above, or by its hold. A failed begin
 * changes nothing; a failed end ends all the same.
 */
int ownership_cpu_begin(struct buffer *b, size_t start, size_t len, enum dma_data_direction dir);
int ownership_cpu_end(struct buffer *b, size_t start, size_t len, enum dma_data_direction dir);

/*
 * A non-coherent mapping of @entry takes the buffer over, or gives it back. @cpu: the CPU accesses
 * the whole buffer from now on, or did so up to now (sync for cpu, sync for device). A failure
 * changes nothing, but giving it back without @cpu succeeds even if a cache operation does not.
 */
int ownership_device_begin(struct buffer *b, struct shm_attachment *entry,
			   enum dma_data_direction dir, bool cpu);
int ownership_device_end(struct buffer *b, struct shm_attachment *entry,
			 enum dma_data_direction dir, bool cpu);

/*
 * A coherent mapping's device shares the CPU's caches, and so counts as the CPU with an access to
 * the whole buffer that reads and writes as the device does. begin and end go with map and unmap;
 * switch hands over to the CPU itself or back. @cpu: the access that is open is the CPU's. A failed
 * begin or switch changes nothing; a failed end ends all the same.
 */
int ownership_coherent_begin(struct buffer *b, enum dma_data_direction dir);
int ownership_coherent_end(struct buffer *b, enum dma_data_direction dir, bool cpu);
int ownership_coherent_switch(struct buffer *b, enum dma_data_direction dir, bool to_cpu);

/* The CPU's access to the whole buffer, by a sync for cpu, begins or ends. */
int ownership_whole_begin(struct buffer *b, enum dma_data_direction dir);
int ownership_whole_end(struct buffer *b, enum dma_data_direction dir);

#endif
