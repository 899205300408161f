/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_vhost_msg - features, acknowledgements, headers, and the configuration space.
 *
 * Runs in: check_vhost.
 */
#include "check_vhost.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONFIG_SIZE 40u

static const char *const with_tag[] = { "--tag", "mytag", NULL };

START_TEST(test_features)
{
	uint64_t v;

	vhost_start(VMM_CONNECTED, NULL);
	OK(vmm_msg_get_u64(hv, VU_GET_FEATURES, &v));
	ck_assert_msg(v == EXPECT_FEATURES, "features 0x%llx", (unsigned long long)v);
	OK(vmm_msg_get_u64(hv, VU_GET_PROTOCOL_FEATURES, &v));
	ck_assert_msg(v == EXPECT_PROTOCOL, "protocol features 0x%llx", (unsigned long long)v);
	h_stop();
	vhost_start(VMM_CONNECTED, with_tag);
	OK(vmm_msg_get_u64(hv, VU_GET_PROTOCOL_FEATURES, &v));
	ck_assert_msg(v == (EXPECT_PROTOCOL | VU_P_CONFIG), "protocol features 0x%llx",
	    (unsigned long long)v);
	h_stop();
}
END_TEST

START_TEST(test_numbers)
{
	uint64_t v;

	vhost_start(VMM_NEGOTIATED, NULL);
	OK(vmm_msg_get_u64(hv, VU_GET_QUEUE_NUM, &v));
	ck_assert_uint_eq(v, EXPECT_QUEUES);
	OK(vmm_msg_get_u64(hv, VU_GET_MAX_MEM_SLOTS, &v));
	ck_assert_uint_eq(v, EXPECT_MEM_SLOTS);
	h_stop();
}
END_TEST

/* NEED_REPLY counts from SET_PROTOCOL_FEATURES on, and never doubles a reply. */
START_TEST(test_reply_ack)
{
	struct vu_header h = { VU_SET_OWNER, VU_VERSION | VU_NEED_REPLY, 0 };
	uint64_t v;

	vhost_start(VMM_CONNECTED, NULL);
	OK(vmm_msg_send(hv, &h, NULL, NULL, 0));
	h.request = VU_GET_FEATURES;
	OK(vmm_msg_send(hv, &h, NULL, NULL, 0));
	OK(vmm_msg_recv(hv, &h, &v, sizeof(v), VMM_TIMEOUT_MS));
	ck_assert_uint_eq(h.request, VU_GET_FEATURES);
	h = (struct vu_header){ VU_SET_PROTOCOL_FEATURES, VU_VERSION, 8 };
	v = VU_P_REPLY_ACK | VU_P_MQ;
	OK(vmm_msg_send(hv, &h, &v, NULL, 0));
	hv->reply_ack = true;
	OK(vmm_msg_set_u64(hv, VU_SET_FEATURES, VIRTIO_F_VERSION1 | VU_F_PROTOCOL));
	h = (struct vu_header){ VU_GET_QUEUE_NUM, VU_VERSION | VU_NEED_REPLY, 0 };
	OK(vmm_msg_send(hv, &h, NULL, NULL, 0));
	OK(vmm_msg_recv(hv, &h, &v, sizeof(v), VMM_TIMEOUT_MS));
	ck_assert_uint_eq(h.request, VU_GET_QUEUE_NUM);
	FAILS(ETIMEDOUT, vmm_msg_recv(hv, &h, &v, sizeof(v), 100));
	h_stop();
}
END_TEST

START_TEST(test_set_owner_twice)
{
	vhost_start(VMM_NEGOTIATED, NULL);
	vhost_expect_refused(VU_SET_OWNER, NULL, 0, NULL, 0);
}
END_TEST

START_TEST(test_reset_owner)
{
	vhost_start(VMM_NEGOTIATED, NULL);
	OK(vmm_msg_set(hv, VU_RESET_OWNER, NULL, 0, NULL, 0));
	OK(vmm_msg_set(hv, VU_SET_OWNER, NULL, 0, NULL, 0));
	h_stop();
}
END_TEST

START_TEST(test_features_not_offered)
{
	static const unsigned int bits[] = { 0, 27, 31, 34, 63 };
	uint64_t v;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		vhost_start(VMM_NEGOTIATED, NULL);
		v = VIRTIO_F_VERSION1 | VU_F_PROTOCOL | 1ull << bits[i];
		vhost_expect_refused(VU_SET_FEATURES, &v, sizeof(v), NULL, 0);
	}
}
END_TEST

/* A stream has no message boundaries: byte by byte, and two messages at once. */
START_TEST(test_stream)
{
	struct vu_header h[2] = { { VU_GET_FEATURES, VU_VERSION, 0 },
		{ VU_GET_PROTOCOL_FEATURES, VU_VERSION, 0 } };
	struct vu_header answer;
	uint64_t v;

	vhost_start(VMM_CONNECTED, NULL);
	ck_assert_int_eq((int)send(hv->sock, h, sizeof(h), 0), sizeof(h));
	OK(vmm_msg_recv(hv, &answer, &v, sizeof(v), VMM_TIMEOUT_MS));
	ck_assert_uint_eq(answer.request, VU_GET_FEATURES);
	OK(vmm_msg_recv(hv, &answer, &v, sizeof(v), VMM_TIMEOUT_MS));
	ck_assert_uint_eq(answer.request, VU_GET_PROTOCOL_FEATURES);
	for (size_t i = 0; i < sizeof(h[0]); i++) {
		ck_assert_int_eq((int)send(hv->sock, (const char *)h + i, 1, 0), 1);
		usleep(2000);
	}
	OK(vmm_msg_recv(hv, &answer, &v, sizeof(v), VMM_TIMEOUT_MS));
	ck_assert_uint_eq(answer.request, VU_GET_FEATURES);
	h_stop();
}
END_TEST

static const struct vu_header bad_headers[] = {
	{ VU_GET_FEATURES, 0, 0 },			/* version 0 */
	{ VU_GET_FEATURES, 2, 0 },
	{ VU_GET_FEATURES, 3, 0 },
	{ VU_GET_FEATURES, VU_VERSION | VU_REPLY, 0 },
	{ VU_GET_FEATURES, VU_VERSION | 0x10, 0 },
	{ VU_GET_FEATURES, VU_VERSION | 0x80000000u, 0 },
	{ VU_SET_FEATURES, VU_VERSION, 4097 },
	{ VU_SET_FEATURES, VU_VERSION, 0xffffffffu },
	{ VU_SET_FEATURES, VU_VERSION, 4 },
	{ VU_SET_FEATURES, VU_VERSION, 16 },
	{ VU_SET_VRING_NUM, VU_VERSION, 4 },
	{ VU_SET_VRING_ADDR, VU_VERSION, 32 },
	{ VU_SET_MEM_TABLE, VU_VERSION, 4 },
	{ VU_GET_CONFIG, VU_VERSION, 8 },
	{ 0, VU_VERSION, 0 },
	{ VU_SET_LOG_FD, VU_VERSION, 0 },
	{ 19, VU_VERSION, 0 }, { 20, VU_VERSION, 8 }, { 22, VU_VERSION, 0 }, { 23, VU_VERSION, 0 },
	{ 26, VU_VERSION, 0 }, { 27, VU_VERSION, 0 }, { 28, VU_VERSION, 0 }, { 29, VU_VERSION, 0 },
	{ 30, VU_VERSION, 0 }, { 31, VU_VERSION, 0 }, { 32, VU_VERSION, 0 }, { 33, VU_VERSION, 0 },
	{ 35, VU_VERSION, 0 }, { 39, VU_VERSION, 8 }, { VU_GET_STATUS, VU_VERSION, 0 },
	{ 41, VU_VERSION, 0 }, { VU_GET_SHMEM_CONFIG, VU_VERSION, 0 }, { 45, VU_VERSION, 0 },
	{ 1000, VU_VERSION, 0 }, { 0xffffffffu, VU_VERSION, 0 },
};

START_TEST(test_bad_header)
{
	static const char payload[5000];
	struct vu_header h = bad_headers[_i];

	vhost_start(VMM_CONNECTED, with_tag);
	/* Oversized: the header alone must be enough. */
	vhost_expect_end(&h, h.size <= 4096 ? payload : NULL, NULL, 0);
}
END_TEST

/* The same in the middle of service: rings running, a worker at work. */
START_TEST(test_bad_header_serving)
{
	static const struct vu_header h = { 1000, VU_VERSION | VU_NEED_REPLY, 0 };

	vhost_start(VMM_RUNNING, NULL);
	ck_assert(h_serves(&hc));
	vhost_expect_end(&h, NULL, NULL, 0);
}
END_TEST

static const struct {
	uint32_t request;
	uint32_t size;
	unsigned int nr_fds;
} bad_fds[] = {
	{ VU_GET_FEATURES, 0, 1 }, { VU_SET_OWNER, 0, 1 }, { VU_SET_FEATURES, 8, 1 },
	{ VU_GET_QUEUE_NUM, 0, 3 }, { VU_SET_VRING_NUM, 8, 1 }, { VU_SET_VRING_ENABLE, 8, 2 },
	{ VU_SET_VRING_KICK, 8, 0 }, { VU_SET_VRING_CALL, 8, 2 }, { VU_SET_BACKEND_REQ_FD, 0, 0 },
	{ VU_SET_BACKEND_REQ_FD, 0, 2 }, { VU_GET_FEATURES, 0, 40 },
};

START_TEST(test_bad_fds)
{
	static const char zeros[64];
	struct vu_header h = { bad_fds[_i].request, VU_VERSION, bad_fds[_i].size };
	int fds[40], i;

	for (i = 0; i < 40; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	vhost_start(VMM_NEGOTIATED, NULL);
	vhost_expect_end(&h, zeros, fds, bad_fds[_i].nr_fds);
	for (i = 0; i < 40; i++)
		close(fds[i]);
}
END_TEST

static const struct {
	uint32_t request;
	uint32_t index;
	uint32_t num;
} bad_states[] = {
	{ VU_SET_VRING_NUM, 0, 0 }, { VU_SET_VRING_NUM, 1, 65536 }, { VU_SET_VRING_NUM, 1, ~0u },
	{ VU_SET_VRING_NUM, 40, 128 }, { VU_SET_VRING_NUM, 17, 128 },
	{ VU_SET_VRING_NUM, 0xffffffffu, 128 }, { VU_SET_VRING_BASE, 40, 0 },
	{ VU_SET_VRING_ENABLE, 40, 1 },
};

START_TEST(test_bad_state)
{
	struct vu_state s = { bad_states[_i].index, bad_states[_i].num };

	vhost_start(VMM_MEMORY, NULL);
	vhost_expect_refused(bad_states[_i].request, &s, sizeof(s), NULL, 0);
}
END_TEST

START_TEST(test_bad_enable)
{
	struct vu_header h = { VU_SET_VRING_ENABLE, VU_VERSION | VU_NEED_REPLY, 8 };
	struct vu_state s = { 1, _i == 0 ? 2 : ~0u };

	vhost_start(VMM_MEMORY, NULL);
	vhost_expect_end(&h, &s, NULL, 0);
}
END_TEST

START_TEST(test_bad_index_fd)
{
	static const uint32_t requests[] = { VU_SET_VRING_KICK, VU_SET_VRING_CALL,
		VU_SET_VRING_ERR };
	uint64_t v = 40;
	int fd = eventfd(0, EFD_CLOEXEC);

	vhost_start(VMM_MEMORY, NULL);
	vhost_expect_refused(requests[_i], &v, sizeof(v), &fd, 1);
	close(fd);
}
END_TEST

START_TEST(test_bad_base)
{
	struct vu_header h = { VU_GET_VRING_BASE, VU_VERSION, 8 };
	struct vu_state s = { 40, 0 };

	vhost_start(VMM_MEMORY, NULL);
	vhost_expect_end(&h, &s, NULL, 0);
}
END_TEST

START_TEST(test_num_not_power_of_two)
{
	vhost_start(VMM_MEMORY, NULL);
	OK(vmm_msg_set_state(hv, VU_SET_VRING_NUM, 1, 100));
	OK(vmm_msg_set_state(hv, VU_SET_VRING_NUM, 1, 32768));
	h_stop();
}
END_TEST

TCase *
check_vhost_msg(void)
{
	TCase *t = tcase_create("msg");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_features);
	tcase_add_test(t, test_numbers);
	tcase_add_test(t, test_reply_ack);
	tcase_add_test(t, test_set_owner_twice);
	tcase_add_test(t, test_reset_owner);
	tcase_add_test(t, test_features_not_offered);
	tcase_add_test(t, test_stream);
	tcase_add_loop_test(t, test_bad_header, 0,
	    (int)(sizeof(bad_headers) / sizeof(bad_headers[0])));
	tcase_add_test(t, test_bad_header_serving);
	tcase_add_loop_test(t, test_bad_fds, 0, (int)(sizeof(bad_fds) / sizeof(bad_fds[0])));
	tcase_add_loop_test(t, test_bad_state, 0,
	    (int)(sizeof(bad_states) / sizeof(bad_states[0])));
	tcase_add_loop_test(t, test_bad_enable, 0, 2);
	tcase_add_loop_test(t, test_bad_index_fd, 0, 3);
	tcase_add_test(t, test_bad_base);
	tcase_add_test(t, test_num_not_power_of_two);
	return t;
}

/* ---- the configuration space ---- */

struct config_msg {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[4096];
};

/* What the space must look like. */
static void
expected_config(uint8_t space[4096], const char *tag)
{
	const uint32_t queues = EXPECT_REQUEST_QUEUES;

	memset(space, 0, 4096);
	memcpy(space, tag, strlen(tag));
	memcpy(space + 36, &queues, sizeof(queues));
}

static void
expect_config(uint32_t offset, uint32_t size, const uint8_t space[4096])
{
	static struct config_msg msg, answer;

	memset(&msg, 0, sizeof(msg));
	memset(&answer, 0x5a, sizeof(answer));
	msg.offset = offset;
	msg.size = size;
	OK(vmm_msg_ask(hv, VU_GET_CONFIG, &msg, 12 + size, &answer, 12 + size));
	ck_assert_uint_eq(answer.offset, offset);
	ck_assert_uint_eq(answer.size, size);
	ck_assert_msg(memcmp(answer.data, space + offset, size) == 0, "config at %u, %u bytes",
	    offset, size);
}

START_TEST(test_config_read)
{
	static uint8_t space[4096];
	uint32_t i;

	vhost_start(VMM_NEGOTIATED, with_tag);
	expected_config(space, "mytag");
	for (i = 1; i <= CONFIG_SIZE; i++)
		expect_config(0, i, space);
	for (i = 0; i < CONFIG_SIZE; i++)
		expect_config(i, 1, space);
	expect_config(36, 4, space);
	expect_config(0, 256, space);
	expect_config(39, 8, space);
	expect_config(40, 16, space);
	expect_config(1000, 100, space);
	h_stop();
}
END_TEST

START_TEST(test_config_tags)
{
	static const char *const tags[] = { "a", "123456789012345678901234567890123456",
		"z\xc3\xa4h" };
	static uint8_t space[4096];
	const char *args[] = { "--tag", tags[_i], NULL };

	vhost_start(VMM_NEGOTIATED, args);
	expected_config(space, tags[_i]);
	expect_config(0, CONFIG_SIZE, space);
	h_stop();
}
END_TEST

START_TEST(test_config_set)
{
	static struct config_msg msg = { .size = CONFIG_SIZE };
	static uint8_t space[4096];

	vhost_start(VMM_NEGOTIATED, with_tag);
	memset(msg.data, 'x', CONFIG_SIZE);
	OK(vmm_msg_set(hv, VU_SET_CONFIG, &msg, 12 + CONFIG_SIZE, NULL, 0));
	expected_config(space, "mytag");
	expect_config(0, CONFIG_SIZE, space);
	h_stop();
}
END_TEST

static const struct {
	uint32_t offset, size, flags;
	uint32_t payload;
} bad_configs[] = {
	{ 0, 0, 0, 12 }, { 4090, 10, 0, 22 }, { 0xffffffffu, 2, 0, 14 }, { 0, 4, 4, 16 },
	{ 0, 40, 0, 16 }, { 0, 4, 0, 52 },
};

START_TEST(test_config_bad)
{
	struct vu_header h = { VU_GET_CONFIG, VU_VERSION, bad_configs[_i].payload };
	struct config_msg msg = { bad_configs[_i].offset, bad_configs[_i].size,
		bad_configs[_i].flags, { 0 } };

	vhost_start(VMM_NEGOTIATED, with_tag);
	vhost_expect_end(&h, &msg, NULL, 0);
}
END_TEST

START_TEST(test_config_without_tag)
{
	struct vu_header h = { VU_GET_CONFIG, VU_VERSION, 52 };
	struct config_msg msg = { 0, 40, 0, { 0 } };

	vhost_start(VMM_NEGOTIATED, NULL);
	vhost_expect_end(&h, &msg, NULL, 0);
}
END_TEST

TCase *
check_vhost_config(void)
{
	TCase *t = tcase_create("config");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_config_read);
	tcase_add_loop_test(t, test_config_tags, 0, 3);
	tcase_add_test(t, test_config_set);
	tcase_add_loop_test(t, test_config_bad, 0,
	    (int)(sizeof(bad_configs) / sizeof(bad_configs[0])));
	tcase_add_test(t, test_config_without_tag);
	return t;
}
