// SPDX-License-Identifier: MIT
/* Built with the feature off and without the library: no entry point claims success. */
#define DMABUF_DISABLED
#include <fcntl.h>
#include <string.h>

#include <dmabuf.h>

#include "harness.h"

#define NOTHING(call) ASSERT_ERRNO(call, ENODEV)
#define REFUSED(call) ASSERT_ERR(call, ENODEV)

/* A caller that does not look at results must get through as well. */
#define SILENT(call) call

TEST(A7_buffers_are_stubs)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf buffer = { .size = 1 };

	NOTHING(dma_buf_export(&info));
	NOTHING(dma_buf_alloc("frame", 4096, O_RDWR));
	REFUSED(dma_buf_fd(&buffer, O_CLOEXEC));
	REFUSED(dma_buf_payload_fd(&buffer, O_CLOEXEC));
	NOTHING(dma_buf_get(0));
	NOTHING(dma_buf_adopt(0, 0));
	REFUSED(dma_buf_kernel_fd(NULL, 0));
	ASSERT(dma_buf_kernel_fences_missing()[0]);
	NOTHING(dma_buf_get_split(0, 1));
	SILENT(get_dma_buf(&buffer));
	SILENT(dma_buf_put(&buffer));
	REFUSED(dma_buf_set_name(&buffer, "frame"));
	REFUSED(dma_buf_migrate(&buffer, NULL, 0));
	REFUSED(dma_buf_register_exporter(NULL));
	REFUSED(dma_buf_unregister_exporter("camera"));
}

TEST(A7_attachments_are_stubs)
{
	struct dma_buf_attachment attach = { .dir = DMA_NONE };
	struct dma_buf_sg_table table = { .nents = 1 };
	struct dma_buf buffer = { .size = 1 };
	struct dma_buf_device_parameters parameters = { .size = sizeof(parameters) };

	NOTHING(dma_buf_attach(&buffer, NULL));
	NOTHING(dma_buf_attach_for(&buffer, NULL, DMA_TO_DEVICE));
	REFUSED(dma_buf_explain_attach(&buffer, NULL, DMA_TO_DEVICE, NULL));
	REFUSED(dma_buf_get_constraints(&buffer, &parameters));
	REFUSED(dma_buf_recalc_constraints(&buffer, &parameters));
	SILENT(dma_buf_detach(&buffer, &attach));
	NOTHING(dma_buf_map_attachment(&attach, DMA_TO_DEVICE));
	NOTHING(dma_buf_map_attachment_attrs(&attach, DMA_TO_DEVICE, DMA_BUF_MAP_COHERENT));
	NOTHING(dma_buf_try_map_attachment(&attach, DMA_TO_DEVICE));
	REFUSED(dma_buf_test_map_attachment(&attach, DMA_TO_DEVICE, 0, NULL));
	REFUSED(dma_buf_unmap_attachment(&attach, &table, DMA_TO_DEVICE));
	REFUSED(dma_buf_sync_sg_for_cpu(&attach, &table, DMA_TO_DEVICE));
	REFUSED(dma_buf_sync_sg_for_device(&attach, &table, DMA_TO_DEVICE));
	NOTHING(dma_buf_memory_map(&attach, DMA_TO_DEVICE));
	SILENT(dma_buf_memory_unmap(&attach, &table, DMA_TO_DEVICE));
	REFUSED(dma_buf_device_lock_fd(&buffer, O_CLOEXEC));
	NOTHING(dma_buf_memory_kmap(&buffer, 0));
}

TEST(A7_raw_access_is_a_stub)
{
	struct dma_buf buffer = { .size = 1 };

	NOTHING(dma_buf_get_scatterlist(&buffer));
	SILENT(dma_buf_put_scatterlist(&buffer, NULL));
	NOTHING(dma_buf_get_pfns(&buffer));
	SILENT(dma_buf_put_pfns(&buffer, NULL));
}

TEST(A7_cpu_access_is_a_stub)
{
	struct dma_buf buffer = { .size = 1 };
	struct dma_buf_access access = { &buffer, 0, 1, DMA_FROM_DEVICE };

	REFUSED(dma_buf_begin_cpu_access(&buffer, 0, 1, DMA_FROM_DEVICE));
	REFUSED(dma_buf_end_cpu_access(&buffer, 0, 1, DMA_FROM_DEVICE));
	REFUSED(dma_buf_begin_cpu_access_many(&access, 1));
	REFUSED(dma_buf_end_cpu_access_many(&access, 1));
	NOTHING(dma_buf_kmap(&buffer, 0));
	SILENT(dma_buf_kunmap(&buffer, 0, NULL));
	NOTHING(dma_buf_kmap_atomic(&buffer, 0));
	SILENT(dma_buf_kunmap_atomic(&buffer, 0, NULL));
	NOTHING(dma_buf_vmap(&buffer));
	SILENT(dma_buf_vunmap(&buffer, NULL));
	NOTHING(dma_buf_mmap(&buffer, 0, 1, 0));
	REFUSED(dma_buf_munmap(NULL, 1));
}

TEST(A7_negotiation_is_a_stub)
{
	struct dma_buf_request request = { .size = 1 };
	struct dma_buf_negotiation answer = { .size = 1 };
	struct dma_buf_heap_info heap = { .size = 1 };
	char text[8];

	REFUSED(dma_buf_negotiate(&request, &answer));
	REFUSED(dma_buf_explain(&request, &answer, text, sizeof(text)));
	REFUSED(dma_buf_negotiation_alloc(&answer, "frame", NULL));
	REFUSED(dma_buf_test_plan(&request, &answer));
	ASSERT_STR_EQ(dma_buf_parameter_name(0), "");
	REFUSED(dma_buf_heap_list(&heap, 1));
	REFUSED(dma_buf_heap_alloc("memfd", "frame", 1));
	REFUSED(dma_buf_register_heap(NULL));
	REFUSED(dma_buf_unregister_heap("mine"));
	REFUSED(dma_buf_block_get_parameters(0, NULL));
	NOTHING(dma_buf_device_get_write_parameters(NULL));
}

TEST(A7_devices_are_stubs)
{
	struct dma_buf_device_info info = { .size = sizeof(info), .name = "disk" };

	NOTHING(dma_buf_device_create(&info));
	NOTHING(dma_buf_device_get(NULL));
	SILENT(dma_buf_device_put(NULL));
	NOTHING(dma_buf_cpu_device());
	ASSERT_STR_EQ(dma_buf_device_name(NULL), "");
	NOTHING(dma_buf_device_get_parameters(NULL));
	NOTHING(dma_buf_device_priv(NULL));
}

TEST(A7_scatter_tables_are_stubs)
{
	struct dma_buf_scatterlist entry = { .length = 4096, .dma_length = 4096 };
	struct dma_buf_sg_table table = { .sgl = &entry, .nents = 1, .orig_nents = 1 };
	struct dma_buf_sg_iter iter;

	memset(&iter, 0xff, sizeof(iter));
	REFUSED(dma_buf_sg_alloc_table(&table, 1));
	SILENT(dma_buf_sg_free_table(&table));
	SILENT(dma_buf_sg_iter_init(&iter, &table, 0));
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, 4096), 0);
	ASSERT_EQ(dma_buf_sg_length(&table), 0);
}

TEST(A7_sharing_and_looking_are_stubs)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	struct dma_buf_counters counters;
	struct dma_buf buffer = { .size = 1 };

	REFUSED(dma_buf_send(0, &buffer, 0));
	NOTHING(dma_buf_recv(0, 0));
	REFUSED(dma_buf_get_info(0, &info));
	REFUSED(dma_buf_get_counters(&buffer, &counters));
	REFUSED(dmabuf_set_label("camera"));
}

TEST(A7_sync_objects_are_stubs)
{
	struct dma_buf_access_info info;
	struct dma_buf buffer = { .size = 1 };

	ASSERT(!is_dmabuf_sync_supported());
	NOTHING(dmabuf_sync_init(NULL, "sync"));
	SILENT(dmabuf_sync_fini(NULL));
	NOTHING(dmabuf_sync_priv(NULL));
	REFUSED(dmabuf_sync_get(NULL, &buffer, DMA_BUF_ACCESS_R));
	REFUSED(dmabuf_sync_get_range(NULL, &buffer, DMA_BUF_ACCESS_R, 0, 1));
	SILENT(dmabuf_sync_put(NULL, &buffer));
	SILENT(dmabuf_sync_put_all(NULL));
	REFUSED(dmabuf_sync_lock(NULL));
	REFUSED(dmabuf_sync_lock_timeout(NULL, 1));
	REFUSED(dmabuf_sync_lock_interruptible(NULL, 1));
	REFUSED(dmabuf_sync_trylock(NULL));
	REFUSED(dmabuf_sync_unlock(NULL));
	ASSERT(!dmabuf_sync_is_locked(NULL));
	REFUSED(dmabuf_sync_set_lease(NULL, 1));
	REFUSED(dma_buf_set_max_lease(&buffer, 1));
	REFUSED(dmabuf_sync_get_torn(NULL, &buffer, &info, 1));
	REFUSED(dmabuf_sync_repaired(NULL, &buffer));
	REFUSED(dmabuf_sync_single_lock(&buffer, DMA_BUF_ACCESS_R, false));
	REFUSED(dmabuf_sync_single_unlock(&buffer));
	REFUSED(dmabuf_sync_lock_async(NULL, 1, NULL));
	REFUSED(dmabuf_sync_lock_after(NULL, NULL, 0, 1, NULL));
	REFUSED(dmabuf_sync_lock_finish(NULL));
	REFUSED(dmabuf_sync_cancel(NULL));
	REFUSED(dmabuf_sync_fd(NULL));
	REFUSED(dmabuf_sync_set_claim(NULL, 1));
	REFUSED(dmabuf_sync_unlock_fence(NULL, NULL));
	REFUSED(dma_buf_flock(0, 1));
	REFUSED(dma_buf_flock_timeout(0, 1, 0));
}

TEST(A7_pools_are_stubs)
{
	NOTHING(dma_buf_pool_create("frames", 4096, 4));
	SILENT(dma_buf_pool_destroy(NULL));
	NOTHING(dma_buf_pool_get(NULL));
	SILENT(dma_buf_pool_put(NULL, NULL));
}

TEST(A7_block_devices_are_stubs)
{
	struct dma_buf_block_info info = { .size = sizeof(info) };
	struct dma_buf_block_completion done;
	char text[16] = "untouched";

	NOTHING(dma_buf_block_open(0, NULL, NULL));
	REFUSED(dma_buf_block_submit(NULL, NULL, DMA_FROM_DEVICE, 0, 1, 0, 0));
	REFUSED(dma_buf_block_reap(NULL, &done, 1, 0));
	REFUSED(dma_buf_block_sync(NULL));
	REFUSED(dma_buf_block_get_info(NULL, &info));
	REFUSED(dma_buf_block_describe(NULL, text, sizeof(text)));
	ASSERT_STR_EQ(text, "untouched");
}

TEST(A7_drm_devices_are_stubs)
{
	struct dma_buf_drm_picture picture = { .size = sizeof(picture) };
	struct dma_buf_drm_screen screen = { .size = sizeof(screen) };
	struct dma_buf_drm_info info = { .size = sizeof(info) };
	char text[16] = "untouched";
	uint32_t handle = 7;

	NOTHING(dma_buf_drm_open(0, NULL));
	REFUSED(dma_buf_drm_import(NULL, NULL, DMA_TO_DEVICE, &handle));
	ASSERT_EQ(handle, 7);
	NOTHING(dma_buf_drm_export(NULL, 1));
	NOTHING(dma_buf_drm_alloc(NULL, &picture, "picture"));
	NOTHING(dma_buf_drm_get_screen(NULL, &screen));
	REFUSED(dma_buf_drm_get_info(NULL, &info));
	REFUSED(dma_buf_drm_get_parameters(0, NULL));
	REFUSED(dma_buf_drm_parameters_from(0));
	REFUSED(dma_buf_drm_describe(NULL, text, sizeof(text)));
	ASSERT_STR_EQ(text, "untouched");
}

TEST(A7_video_devices_are_stubs)
{
	struct dma_buf_v4l2_format format = { .size = sizeof(format) };
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };
	struct dma_buf_v4l2_completion done;
	char text[16] = "untouched";

	NOTHING(dma_buf_v4l2_open(0, NULL, NULL));
	REFUSED(dma_buf_v4l2_set_format(NULL, &format));
	REFUSED(dma_buf_v4l2_request(NULL, DMA_BUF_V4L2_AUTO, 4));
	NOTHING(dma_buf_v4l2_alloc(NULL, "frame"));
	REFUSED(dma_buf_v4l2_queue(NULL, NULL, 0, 0, 0));
	REFUSED(dma_buf_v4l2_start(NULL));
	REFUSED(dma_buf_v4l2_stop(NULL));
	REFUSED(dma_buf_v4l2_reap(NULL, &done, 1, 0));
	REFUSED(dma_buf_v4l2_check_source(NULL));
	REFUSED(dma_buf_v4l2_fd(NULL));
	REFUSED(dma_buf_v4l2_get_info(NULL, &info));
	REFUSED(dma_buf_v4l2_get_parameters(NULL, NULL));
	REFUSED(dma_buf_v4l2_parameters_from(NULL));
	REFUSED(dma_buf_v4l2_describe(NULL, text, sizeof(text)));
	ASSERT_STR_EQ(text, "untouched");
}

TEST(A7_fences_are_stubs)
{
	struct dma_fence_lock lock = DMA_FENCE_LOCK_INIT;
	struct dma_fence_ops ops = { .use_64bit_seqno = true };
	struct dma_fence fence = { .seqno = 1 }, *fences[] = { &fence };
	struct dma_fence_cb cb;
	char text[16] = "untouched";
	uint32_t idx;

	SILENT(dma_fence_lock_init(&lock));
	SILENT(dma_fence_lock_lock(&lock));
	ASSERT(!dma_fence_lock_trylock(&lock));
	SILENT(dma_fence_lock_unlock(&lock));
	SILENT(dma_fence_init(&fence, &ops, &lock, 1, 1));
	ASSERT_EQ(dma_fence_context_alloc(1), 0);
	NOTHING(dma_fence_get(&fence));
	NOTHING(dma_fence_get_unless_zero(&fence));
	SILENT(dma_fence_put(&fence));
	SILENT(dma_fence_release(&fence));
	SILENT(dma_fence_free(&fence));
	REFUSED(dma_fence_signal(&fence));
	REFUSED(dma_fence_signal_locked(&fence));
	REFUSED(dma_fence_signal_timestamp(&fence, 1));
	REFUSED(dma_fence_signal_timestamp_locked(&fence, 1));
	ASSERT_EQ(dma_fence_timestamp(&fence), 0);
	REFUSED(dma_fence_set_error(&fence, -EIO));
	REFUSED(dma_fence_set_timeout(&fence, 1));
	REFUSED(dma_fence_get_status(&fence));
	REFUSED(dma_fence_get_status_locked(&fence));
	REFUSED(dma_fence_add_callback(&fence, &cb, NULL));
	ASSERT(!dma_fence_remove_callback(&fence, &cb));
	SILENT(dma_fence_enable_sw_signaling(&fence));
	ASSERT(!dma_fence_poll_signaled(&fence, false));
	ASSERT(!dma_fence_test_signaled_flag(&fence));
	ASSERT(!dma_fence_is_signaled(&fence));
	ASSERT(!dma_fence_is_signaled_locked(&fence));
	ASSERT(!dma_fence_seqno_is_later(2, 1, &ops));
	ASSERT(!dma_fence_is_later(&fence, &fence));
	NOTHING(dma_fence_later(&fence, &fence));
	REFUSED(dma_fence_default_wait(&fence, true, 1));
	REFUSED(dma_fence_wait_timeout(&fence, true, 1));
	REFUSED(dma_fence_wait(&fence, true));
	REFUSED(dma_fence_wait_any_timeout(fences, 1, true, 1, &idx));
	NOTHING(dma_fence_get_stub());
	NOTHING(dma_fence_allocate_private_stub());
	ASSERT(!dma_fence_match_context(&fence, 1));
	REFUSED(dma_fence_describe(&fence, text, sizeof(text)));
	ASSERT_STR_EQ(text, "untouched");
}

TEST(A7_fences_of_fences_are_stubs)
{
	struct dma_fence fence = { .seqno = 1 }, *fences[] = { &fence };
	struct dma_fence_chain chain;
	struct dma_fence_unwrap cursor;

	NOTHING(dma_fence_array_create(1, fences, 1, 1, false));
	ASSERT(!dma_fence_is_array(&fence));
	NOTHING(dma_fence_to_array(&fence));
	NOTHING(dma_fence_array_first(&fence));
	NOTHING(dma_fence_array_next(&fence, 1));
	NOTHING(dma_fence_chain_alloc());
	SILENT(dma_fence_chain_free(NULL));
	SILENT(dma_fence_chain_init(&chain, NULL, &fence, 1));
	ASSERT(!dma_fence_is_chain(&fence));
	NOTHING(dma_fence_to_chain(&fence));
	NOTHING(dma_fence_chain_contained(&fence));
	NOTHING(dma_fence_chain_walk(&fence));
	REFUSED(dma_fence_chain_find_seqno(fences, 1));
	NOTHING(dma_fence_unwrap_first(&fence, &cursor));
	NOTHING(dma_fence_unwrap_next(&cursor));
	SILENT(dma_fence_unwrap_end(&cursor));
	NOTHING(dma_fence_unwrap_merge_array(1, fences));
}

TEST(A7_ww_mutexes_are_stubs)
{
	DMABUF_DEFINE_WW_CLASS(ww_class);
	struct dmabuf_ww_acquire_ctx ctx = { .ww_class = &ww_class };
	struct dmabuf_ww_mutex mutex = { .ww_class = &ww_class };

	SILENT(dmabuf_ww_mutex_init(&mutex, &ww_class));
	REFUSED(dmabuf_ww_mutex_destroy(&mutex));
	SILENT(dmabuf_ww_acquire_init(&ctx, &ww_class));
	REFUSED(dmabuf_ww_acquire_done(&ctx));
	REFUSED(dmabuf_ww_acquire_fini(&ctx));
	REFUSED(dmabuf_ww_mutex_lock(&mutex, &ctx));
	REFUSED(dmabuf_ww_mutex_lock_interruptible(&mutex, &ctx));
	REFUSED(dmabuf_ww_mutex_lock_slow(&mutex, &ctx));
	REFUSED(dmabuf_ww_mutex_lock_slow_interruptible(&mutex, &ctx));
	ASSERT_EQ(dmabuf_ww_mutex_trylock(&mutex, &ctx), 0);
	REFUSED(dmabuf_ww_mutex_unlock(&mutex));
	ASSERT(!dmabuf_ww_mutex_is_locked(&mutex));
	NOTHING(dmabuf_ww_mutex_ctx(&mutex));
}

TEST(A7_reservations_are_stubs)
{
	struct dmabuf_ww_acquire_ctx ctx = { .stamp = 1 };
	struct dma_fence fence = { .seqno = 1 }, *one, **many;
	struct dma_resv obj = { .version = 1 };
	struct dma_resv_iter cursor = { .obj = &obj };
	unsigned int count;
	char text[16] = "untouched";

	ASSERT_EQ(dma_resv_usage_rw(true), DMA_RESV_USAGE_KERNEL);
	NOTHING(dma_resv_ww_class());
	SILENT(dma_resv_init(&obj));
	SILENT(dma_resv_fini(&obj));
	REFUSED(dma_resv_lock(&obj, &ctx));
	REFUSED(dma_resv_lock_interruptible(&obj, &ctx));
	REFUSED(dma_resv_lock_slow(&obj, &ctx));
	REFUSED(dma_resv_lock_slow_interruptible(&obj, &ctx));
	ASSERT(!dma_resv_trylock(&obj));
	REFUSED(dma_resv_unlock(&obj));
	ASSERT(!dma_resv_is_locked(&obj));
	REFUSED(dma_resv_assert_held(&obj));
	NOTHING(dma_resv_locking_ctx(&obj));
	REFUSED(dma_resv_reserve_fences(&obj, 1));
	REFUSED(dma_resv_add_fence(&obj, &fence, DMA_RESV_USAGE_READ));
	SILENT(dma_resv_replace_fences(&obj, 1, &fence, DMA_RESV_USAGE_READ));
	REFUSED(dma_resv_copy_fences(&obj, &obj));
	REFUSED(dma_resv_get_fences(&obj, DMA_RESV_USAGE_READ, &count, &many));
	REFUSED(dma_resv_get_singleton(&obj, DMA_RESV_USAGE_READ, &one));
	REFUSED(dma_resv_wait_timeout(&obj, DMA_RESV_USAGE_READ, true, 1));
	ASSERT(!dma_resv_test_signaled(&obj, DMA_RESV_USAGE_READ));
	REFUSED(dma_resv_describe(&obj, text, sizeof(text)));
	ASSERT_STR_EQ(text, "untouched");
	SILENT(dma_resv_iter_begin(&cursor, &obj, DMA_RESV_USAGE_READ));
	SILENT(dma_resv_iter_end(&cursor));
	NOTHING(dma_resv_iter_first(&cursor));
	NOTHING(dma_resv_iter_next(&cursor));
	NOTHING(dma_resv_iter_first_unlocked(&cursor));
	NOTHING(dma_resv_iter_next_unlocked(&cursor));
	ASSERT_EQ(dma_resv_iter_usage(&cursor), DMA_RESV_USAGE_KERNEL);
	ASSERT(!dma_resv_iter_is_restarted(&cursor));
}

TEST(A7_fences_with_descriptors_are_stubs)
{
	struct dmabuf_sync_file_options options = { .size = sizeof(options) };
	struct dmabuf_sync_file_info info = { .size = sizeof(info), .status = 7 };
	struct dma_fence fence = { .seqno = 1 };
	const int fds[] = { 0, 1 };
	unsigned int index = 7;
	int status = 7;

	REFUSED(dmabuf_sync_file_create(&fence, &options));
	NOTHING(dmabuf_sync_file_get_fence(0));
	REFUSED(dmabuf_sync_file_check(0));
	REFUSED(dmabuf_sync_file_merge(0, 1, &options));
	REFUSED(dmabuf_sync_file_get_info(0, &info));
	REFUSED(dmabuf_sync_file_wait(0, 1, &status));
	REFUSED(dmabuf_sync_file_wait_any(fds, 2, 1, &index));
	REFUSED(dmabuf_sync_file_wait_all(fds, 2, 1));
	ASSERT_EQ(info.status, 7);
	ASSERT_EQ(status, 7);
	ASSERT_EQ(index, 7);
}

TEST(A7_queued_work_is_a_stub)
{
	struct dmabuf_work work = { .struct_size = sizeof(work) };
	struct dma_buf_block_job job = { .struct_size = sizeof(job) };
	struct dma_buf_attachment attach = { .dir = DMA_NONE };
	struct dma_buf_sg_table table = { .nents = 1 };
	struct dma_fence *fence = NULL;

	REFUSED(dmabuf_queue_work(&work, &fence));
	REFUSED(dma_buf_block_queue(&attach, &table, &job, &fence));
	REFUSED(dmabuf_cancel_work(fence));
	ASSERT(!fence);
}

TEST(A7_checking_is_a_stub)
{
	REFUSED(dma_buf_check_start(NULL));
	ASSERT_EQ(dma_buf_check_reports(), 0);
}

static void log_fn(enum dmabuf_log_level level, const char *message, void *data)
{
	FAIL("a stub called the log: %s", message);
}

TEST(A7_strings_are_never_null)
{
	dmabuf_set_log(log_fn, NULL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "DMABUF_DISABLED");
	ASSERT_STR_EQ(dmabuf_version(), "");
}

TEST(A7_queues_are_stubs)
{
	struct dmabuf_queue_options options = { .size = sizeof(options) };
	struct dmabuf_queue_consumer_info info;
	struct dmabuf_queue_stats stats;
	struct dmabuf_frame frame = { .index = 1 };

	NOTHING(dmabuf_queue_create(&options));
	NOTHING(dmabuf_queue_create_relay(NULL, &options));
	REFUSED(dmabuf_queue_listen(NULL, "path"));
	REFUSED(dmabuf_queue_add(NULL, 0));
	REFUSED(dmabuf_queue_wait_consumers(NULL, 1, 0));
	REFUSED(dmabuf_queue_get(NULL, &frame, 0));
	REFUSED(dmabuf_queue_put(NULL, &frame));
	REFUSED(dmabuf_queue_cancel(NULL, &frame));
	REFUSED(dmabuf_queue_finish(NULL, 0));
	REFUSED(dmabuf_queue_dispatch(NULL));
	REFUSED(dmabuf_queue_fd(NULL));
	REFUSED(dmabuf_queue_get_consumers(NULL, &info, 1));
	REFUSED(dmabuf_queue_get_stats(NULL, &stats));
	SILENT(dmabuf_queue_destroy(NULL));
	NOTHING(dmabuf_queue_connect("path", NULL, 0));
	NOTHING(dmabuf_queue_join(0, NULL, 0));
	REFUSED(dmabuf_queue_take(NULL, &frame, 0));
	REFUSED(dmabuf_queue_wait_fence(&frame, 0));
	REFUSED(dmabuf_queue_release(NULL, &frame));
	REFUSED(dmabuf_queue_consumer_fd(NULL));
	REFUSED(dmabuf_queue_consumer_get_stats(NULL, &stats));
	NOTHING(dmabuf_queue_open_input(NULL, 0));
	NOTHING(dmabuf_queue_open_output(NULL, NULL, 0));
	REFUSED(dmabuf_queue_tell("key", "value"));
	SILENT(dmabuf_queue_leave(NULL));
}
